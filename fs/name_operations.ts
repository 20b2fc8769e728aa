/**
 * Operations on names: looking up, making, linking, renaming and removing.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import {
  linkat,
  makedev,
  mkdirat,
  mknodat,
  readlinkat,
  renameat2,
  symlinkat,
  unlinkat,
} from "../ffi/sys/dir.ts";
import { closeFd, openat, procFdPath, reopen, statx } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_PATH,
  O_TMPFILE,
  RENAME_EXCHANGE,
} from "../ffi/sys/constants.ts";
import { decodeDevice } from "./answers.ts";
import { ARGS, conclude, type Context, type Operations, underUmask } from "./context.ts";
import { backingFlags } from "./handles.ts";
import { ATTRIBUTE_MASK, EMPTY_PATH, type Node } from "./nodes.ts";

const SELF = cstr(".");

/** Operations on names over a mount's backing. */
export function nameOperations(context: Context): Operations {
  const { nodes, handles, answers, attributes } = context;

  const lookup = (request: Request) => {
    const parent = context.node(request);
    context.fd(parent);
    context.actAs(request);
    const node = nodes.lookup(parent, request.cname(ARGS), attributes);
    if (typeof node === "number") request.replyError(-node);
    else if (answers.entry(request, node, attributes) < 0) nodes.forget(node.nodeid, 1);
  };

  /** Makes something by `make` as the caller, and answers with its entry. */
  const entry = (
    request: Request,
    nameOffset: number,
    make: (directory: number, name: Uint8Array) => number,
  ) => {
    const parent = context.node(request);
    const directory = context.fd(parent);
    const name = request.cname(nameOffset);
    context.actAs(request);
    const made = make(directory, name);
    if (made < 0) return void request.replyError(-made);
    const node = nodes.lookup(parent, name, attributes);
    if (typeof node === "number") request.replyError(-node);
    else if (answers.entry(request, node, attributes) < 0) nodes.forget(node.nodeid, 1);
  };

  const mknod = (request: Request) => {
    const { get } = kernel.fuse_mknod_in;
    const { major, minor } = decodeDevice(get.rdev(request.view, ARGS));
    const mode = get.mode(request.view, ARGS);
    const umask = get.umask(request.view, ARGS);
    entry(
      request,
      ARGS + kernel.fuse_mknod_in.size,
      (directory, name) => underUmask(umask, () => mknodat(directory, name, mode, makedev(major, minor))),
    );
  };

  const mkdir = (request: Request) => {
    const { get, size } = kernel.fuse_mkdir_in;
    const mode = get.mode(request.view, ARGS);
    const umask = get.umask(request.view, ARGS);
    entry(
      request,
      ARGS + size,
      (directory, name) => underUmask(umask, () => mkdirat(directory, name, mode)),
    );
  };

  const symlink = (request: Request) => {
    const name = request.cname(ARGS);
    const target = request.cname(ARGS + name.length);
    entry(request, ARGS, (directory) => symlinkat(target, directory, name));
  };

  const link = (request: Request) => {
    const node = context.node(request, kernel.fuse_link_in.get.oldnodeid(request.view, ARGS));
    context.fd(node); // before it is acted as the caller; the one below finds it open
    entry(
      request,
      ARGS + kernel.fuse_link_in.size,
      (directory, name) => linkat(AT_FDCWD, procFdPath(context.fd(node)), directory, name, AT_SYMLINK_FOLLOW),
    );
  };

  const create = (request: Request) => {
    const { get, size } = kernel.fuse_create_in;
    const flags = get.flags(request.view, ARGS);
    const parent = context.node(request);
    const directory = context.fd(parent);
    const name = request.cname(ARGS + size);
    context.actAs(request);
    const mode = get.mode(request.view, ARGS);
    const fd = underUmask(
      get.umask(request.view, ARGS),
      () => openat(directory, name, backingFlags(flags) | O_CREAT | O_NOFOLLOW, mode),
    );
    if (fd < 0) return void request.replyError(-fd);
    const found = statx(fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes);
    if (found < 0) {
      closeFd(fd);
      return void request.replyError(-found);
    }
    answerCreated(request, nodes.learn(parent, name, attributes), fd, flags);
  };

  /** O_TMPFILE: a file without a name. */
  const tmpfile = (request: Request) => {
    const { get } = kernel.fuse_create_in;
    const flags = get.flags(request.view, ARGS);
    const parent = context.node(request);
    const directory = context.fd(parent);
    context.actAs(request);
    const mode = get.mode(request.view, ARGS);
    const fd = underUmask(
      get.umask(request.view, ARGS),
      () => openat(directory, SELF, backingFlags(flags) | O_TMPFILE, mode),
    );
    if (fd < 0) return void request.replyError(-fd);
    const found = statx(fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes);
    const path = found < 0 ? found : reopen(fd, O_PATH | O_CLOEXEC);
    if (path < 0) {
      closeFd(fd);
      return void request.replyError(-path);
    }
    answerCreated(request, nodes.adopt(parent, path, attributes), fd, flags);
  };

  const answerCreated = (request: Request, node: Node, fd: number, flags: number) => {
    const handle = handles.add(node, fd, flags, { uid: request.uid, gid: request.gid });
    if (answers.created(request, node, attributes, handle) >= 0) return;
    handles.remove(handle.fh);
    nodes.forget(node.nodeid, 1);
  };

  /** Takes a name away; what it named stays reachable for those who have it open. */
  const remove = (flags: number) => (request: Request) => {
    const parent = context.node(request);
    const name = request.cname(ARGS);
    const victim = nodes.knownAt(parent, name);
    if (victim !== undefined) nodes.pin(victim);
    const directory = context.fd(parent);
    context.actAs(request);
    const result = unlinkat(directory, name, flags);
    if (result < 0 && victim !== undefined) nodes.renamed(victim, parent, name);
    conclude(request, result);
  };

  const rename = (request: Request, nameOffset: number, newdir: bigint, flags: number) => {
    const from = context.node(request);
    const to = context.node(request, newdir);
    const name = request.cname(nameOffset);
    const newName = request.cname(nameOffset + name.length);
    const moved = nodes.knownAt(from, name);
    const replaced = nodes.knownAt(to, newName);
    if (replaced !== undefined && replaced !== moved && !(flags & RENAME_EXCHANGE)) nodes.pin(replaced);
    context.fd(from);
    const directory = context.fd(to);
    const source = context.fd(from); // again: the second may have cost the first its descriptor
    context.actAs(request);
    const result = renameat2(source, name, directory, newName, flags);
    if (result >= 0) {
      if (moved !== undefined) nodes.renamed(moved, to, newName);
      if (flags & RENAME_EXCHANGE && replaced !== undefined) nodes.renamed(replaced, from, name);
    } else if (replaced !== undefined) nodes.renamed(replaced, to, newName);
    conclude(request, result);
  };

  const readlink = (request: Request) => {
    const length = readlinkat(context.fd(context.node(request)), EMPTY_PATH, answers.bytes);
    if (length < 0) request.replyError(-length);
    else answers.data(request, length);
  };

  const forget = (request: Request) => {
    nodes.forget(request.nodeid, Number(kernel.fuse_forget_in.get.nlookup(request.view, ARGS)));
    request.replyNone();
  };

  const batchForget = (request: Request) => {
    const count = kernel.fuse_batch_forget_in.get.count(request.view, ARGS);
    const { get, size } = kernel.fuse_forget_one;
    for (let i = 0, at = ARGS + kernel.fuse_batch_forget_in.size; i < count; i++, at += size) {
      if (at + size > request.length) throw new SysError("FUSE_BATCH_FORGET", Errno.EINVAL);
      nodes.forget(get.nodeid(request.view, at), Number(get.nlookup(request.view, at)));
    }
    request.replyNone();
  };

  return [
    [kernel.FUSE_LOOKUP, lookup],
    [kernel.FUSE_FORGET, forget],
    [kernel.FUSE_BATCH_FORGET, batchForget],
    [kernel.FUSE_MKNOD, mknod],
    [kernel.FUSE_MKDIR, mkdir],
    [kernel.FUSE_SYMLINK, symlink],
    [kernel.FUSE_LINK, link],
    [kernel.FUSE_CREATE, create],
    [kernel.FUSE_TMPFILE, tmpfile],
    [kernel.FUSE_UNLINK, remove(0)],
    [kernel.FUSE_RMDIR, remove(AT_REMOVEDIR)],
    [kernel.FUSE_RENAME, (request) => {
      const { get, size } = kernel.fuse_rename_in;
      rename(request, ARGS + size, get.newdir(request.view, ARGS), 0);
    }],
    [kernel.FUSE_RENAME2, (request) => {
      const { get, size } = kernel.fuse_rename2_in;
      rename(request, ARGS + size, get.newdir(request.view, ARGS), get.flags(request.view, ARGS));
    }],
    [kernel.FUSE_READLINK, readlink],
  ];
}
