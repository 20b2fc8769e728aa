/**
 * Other people's tests of file systems, each as a command in an empty directory that ends by itself in less than a minute.
 *
 * @module
 */

/**
 * What stress-ng has in its class of file systems, less what is about something else and what the kernel does not pass to FUSE. Its getdent
 * walks through all of /tmp, other tests' file systems included.
 */
const STRESSORS = [
  "access,chattr,chdir,chmod,chown,copy-file,dentry,dir,dirdeep,dirmany,fallocate,fcntl,file-ioctl,filename,flock,fpunch,fsize,fstat",
  "handle,hdd,inode-flags,inotify,lease,link,locka,lockf,lockofd,mknod,rename,symlink,sync-file,touch,utime,xattr",
].flatMap((names) => names.split(","));

const stressNg = (directory: string) => [
  "stress-ng",
  ...STRESSORS.flatMap((name) => [`--${name}`, "1"]),
  ...["--sequential", "1", "--timeout", "1s", "--verify", "--temp-path", directory],
];

const fio = (directory: string) => {
  const job = (name: string, ...options: string[]) => [`--name=${name}`, ...options];
  return [
    ...["fio", `--directory=${directory}`, "--size=8m", "--bs=4k", "--rw=randrw", "--loops=3"],
    ...["--verify=crc32c", "--do_verify=1", "--verify_fatal=1"],
    ...["--thread", "--group_reporting", "--fallocate=none"],
    ...job("psync", "--ioengine=psync"),
    ...job("direct", "--ioengine=psync", "--direct=1"),
    ...job("mmap", "--ioengine=mmap"),
    ...job("append", "--ioengine=sync", "--rw=write", "--file_append=1"),
    ...job("large", "--ioengine=pvsync2", "--bs=1m", "--rw=write"),
  ];
};

const dbench = (directory: string) => ["dbench", "-t", "10", "-D", directory, "4"];

/** The command of each program, by its name. */
export const suites: Readonly<Record<"stress-ng" | "fio" | "dbench", (directory: string) => string[]>> = {
  "stress-ng": stressNg,
  fio,
  dbench,
};
