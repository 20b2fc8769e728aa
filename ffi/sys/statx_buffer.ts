/**
 * The answer of statx(2), field by field: `struct statx` of `linux/stat.h`, the same on every architecture.
 *
 * @module
 */
import { readNumber } from "../layout.ts";

/** Where `statx` puts its answer. One can be used for any number of calls; the getters read what the last one left. */
export class StatxBuffer {
  /** The struct, 256 bytes. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(256));
  /** A view on `bytes`. */
  readonly view: DataView = new DataView(this.bytes.buffer);

  /** Which fields the file system filled in: STATX_*. */
  get mask(): number {
    return this.view.getUint32(0, true);
  }
  /** The preferred size of reads and writes in bytes. */
  get blksize(): number {
    return this.view.getUint32(4, true);
  }
  /** STATX_ATTR_*. */
  get attributes(): bigint {
    return this.view.getBigUint64(8, true);
  }
  /** The number of names. */
  get nlink(): number {
    return this.view.getUint32(16, true);
  }
  /** The owner. */
  get uid(): number {
    return this.view.getUint32(20, true);
  }
  /** The group. */
  get gid(): number {
    return this.view.getUint32(24, true);
  }
  /** Type and permissions. */
  get mode(): number {
    return this.view.getUint16(28, true);
  }
  /** The inode number. */
  get ino(): bigint {
    return this.view.getBigUint64(32, true);
  }
  /** The inode number as a number, rounded from 2^53 on. */
  get inoNumber(): number {
    return readNumber(this.view, 32);
  }
  /** The size in bytes. */
  get size(): bigint {
    return this.view.getBigUint64(40, true);
  }
  set size(bytes: bigint) {
    this.view.setBigUint64(40, bytes, true);
  }
  /** The blocks of 512 bytes that are in use. */
  get blocks(): bigint {
    return this.view.getBigUint64(48, true);
  }
  /** Access time, seconds since 1970. */
  get atimeSec(): bigint {
    return this.view.getBigInt64(64, true);
  }
  /** Access time, nanoseconds. */
  get atimeNsec(): number {
    return this.view.getUint32(72, true);
  }
  /** Time of birth, seconds since 1970; only with STATX_BTIME in `mask`. */
  get btimeSec(): bigint {
    return this.view.getBigInt64(80, true);
  }
  /** Time of birth, nanoseconds. */
  get btimeNsec(): number {
    return this.view.getUint32(88, true);
  }
  /** Change time, seconds since 1970. */
  get ctimeSec(): bigint {
    return this.view.getBigInt64(96, true);
  }
  /** Change time, nanoseconds. */
  get ctimeNsec(): number {
    return this.view.getUint32(104, true);
  }
  /** Modification time, seconds since 1970. */
  get mtimeSec(): bigint {
    return this.view.getBigInt64(112, true);
  }
  /** Modification time, nanoseconds. */
  get mtimeNsec(): number {
    return this.view.getUint32(120, true);
  }
  /** Of a device node: the device's major number. */
  get rdevMajor(): number {
    return this.view.getUint32(128, true);
  }
  /** Of a device node: the device's minor number. */
  get rdevMinor(): number {
    return this.view.getUint32(132, true);
  }
  /** Of the file system: the device's major number. */
  get devMajor(): number {
    return this.view.getUint32(136, true);
  }
  /** Of the file system: the device's minor number. */
  get devMinor(): number {
    return this.view.getUint32(140, true);
  }
  /** The id of the mount; only with STATX_MNT_ID or STATX_MNT_ID_UNIQUE in `mask`. */
  get mntId(): bigint {
    return this.view.getBigUint64(144, true);
  }
  /** To multiples of how many bytes O_DIRECT reads and writes (STATX_DIOALIGN); 0: it cannot. */
  get dioOffsetAlign(): number {
    return this.view.getUint32(156, true);
  }
}
