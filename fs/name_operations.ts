/**
 * Operations on names: looking up, making, linking, renaming and removing.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { makedev } from "../ffi/sys/dir.ts";
import { closeFd } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { openTree } from "../ffi/sys/mount.ts";
import { OPEN_TREE_CLOEXEC } from "../ffi/sys/mount_constants.ts";
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_PATH,
  O_TMPFILE,
  RENAME_EXCHANGE,
} from "../ffi/sys/constants.ts";
import { decodeDevice } from "./answers.ts";
import { call, type Step, type Steps } from "./calls.ts";
import { ARGS, conclude, type Context, type Operations } from "./context.ts";
import { backingFlags } from "./handles.ts";
import { ATTRIBUTE_MASK, EMPTY_PATH, type Node } from "./node.ts";

const SELF = cstr(".");

/** No symbolic link is longer (linux/limits.h). */
const PATH_MAX = 4096;

/** Operations on names over a mount's backing. */
export function nameOperations(context: Context): Operations {
  const { nodes, handles, answers, attributes } = context;

  const lookup = function* (request: Request): Steps<void> {
    const parent = context.node(request);
    let directory = nodes.opened(parent);
    if (directory < 0) {
      directory = yield* context.fd(parent);
      context.actAs(request);
    }
    const name = request.cname(ARGS);
    const found = yield call("statx", directory, name, AT_SYMLINK_NOFOLLOW, ATTRIBUTE_MASK, attributes);
    if (found < 0) return void request.replyError(-found);
    const node = nodes.learn(parent, name, attributes);
    if (answers.entry(request, node, attributes) < 0) nodes.forget(node.nodeid, 1);
  };

  /** Makes something by a call as the caller, and answers with its entry. */
  const entry = function* (
    request: Request,
    nameOffset: number,
    making: (directory: number, name: Uint8Array) => Step,
  ): Steps<void> {
    const parent = context.node(request);
    const directory = yield* context.fd(parent);
    const name = request.cname(nameOffset);
    context.actAs(request);
    const made = yield making(directory, name);
    if (made < 0) return void request.replyError(-made);
    const node = yield* nodes.lookup(parent, name, attributes);
    if (typeof node === "number") request.replyError(-node);
    else if (answers.entry(request, node, attributes) < 0) nodes.forget(node.nodeid, 1);
  };

  const mknod = (request: Request) => {
    const { get, size } = kernel.fuse_mknod_in;
    const { major, minor } = decodeDevice(get.rdev(request.view, ARGS));
    const [mode, umask] = [get.mode(request.view, ARGS), get.umask(request.view, ARGS)];
    const device = makedev(major, minor);
    return entry(request, ARGS + size, (at, name) => call("mknod", umask, at, name, mode, device));
  };

  const mkdir = (request: Request) => {
    const { get, size } = kernel.fuse_mkdir_in;
    const [mode, umask] = [get.mode(request.view, ARGS), get.umask(request.view, ARGS)];
    return entry(request, ARGS + size, (at, name) => call("mkdir", umask, at, name, mode));
  };

  const symlink = (request: Request) => {
    const target = request.cname(ARGS + request.cname(ARGS).length);
    return entry(request, ARGS, (at, name) => call("symlinkat", target, at, name));
  };

  const link = function* (request: Request): Steps<void> {
    const node = context.node(request, kernel.fuse_link_in.getNumber.oldnodeid(request.view, ARGS));
    yield* context.fd(context.node(request));
    yield* context.fd(node); // before it is acted as the caller; it is open when the call is made
    const at = ARGS + kernel.fuse_link_in.size;
    yield* entry(request, at, (directory, name) => call("link", nodes.opened(node), directory, name));
  };

  const create = function* (request: Request): Steps<void> {
    const { get, size } = kernel.fuse_create_in;
    const flags = get.flags(request.view, ARGS);
    const parent = context.node(request);
    const directory = yield* context.fd(parent);
    const name = request.cname(ARGS + size);
    context.actAs(request);
    const [mode, umask] = [get.mode(request.view, ARGS), get.umask(request.view, ARGS)];
    const how = backingFlags(flags) | O_CREAT | O_NOFOLLOW;
    const fd = yield call("create", umask, directory, name, how, mode);
    if (fd < 0) return void request.replyError(-fd);
    const found = yield call("statx", fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes);
    if (found < 0) {
      yield call("close", fd);
      return void request.replyError(-found);
    }
    const node = nodes.learn(parent, name, attributes);
    if (node.fd < 0 && !context.concurrent) {
      nodes.give(node, openTree(fd, EMPTY_PATH, AT_EMPTY_PATH | OPEN_TREE_CLOEXEC));
    }
    yield* answerCreated(request, node, fd, flags);
  };

  /** O_TMPFILE: a file without a name. */
  const tmpfile = function* (request: Request): Steps<void> {
    const { get } = kernel.fuse_create_in;
    const flags = get.flags(request.view, ARGS);
    const parent = context.node(request);
    const directory = yield* context.fd(parent);
    context.actAs(request);
    const [mode, umask] = [get.mode(request.view, ARGS), get.umask(request.view, ARGS)];
    const fd = yield call("create", umask, directory, SELF, backingFlags(flags) | O_TMPFILE, mode);
    if (fd < 0) return void request.replyError(-fd);
    const path = yield call("reopen", fd, O_PATH | O_CLOEXEC);
    const found = path < 0
      ? path
      : yield call("statx", fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes);
    if (found < 0) {
      yield call("close", fd);
      if (path >= 0) closeFd(path);
      return void request.replyError(-found);
    }
    yield* answerCreated(request, nodes.adopt(parent, path, attributes), fd, flags);
  };

  const answerCreated = function* (request: Request, node: Node, fd: number, flags: number): Steps<void> {
    const opener = { uid: request.uid, gid: request.gid };
    const handle = handles.add(node, fd, flags, opener, { attributes });
    if (answers.created(request, node, attributes, handle) >= 0) return;
    yield* handles.remove(handle.fh);
    nodes.forget(node.nodeid, 1);
  };

  /** Takes a name away; what it named stays reachable for those who have it open. */
  const remove = function* (request: Request, flags: number): Steps<void> {
    const parent = context.node(request);
    const name = request.cname(ARGS);
    const victim = yield* nodes.knownAt(parent, name);
    if (victim !== undefined) yield* nodes.pin(victim);
    const directory = yield* context.fd(parent);
    context.actAs(request);
    const result = yield call("unlinkat", directory, name, flags);
    if (result < 0 && victim !== undefined) nodes.renamed(victim, parent, name);
    conclude(request, result);
  };

  const rename = function* (
    request: Request,
    nameOffset: number,
    newdir: number,
    flags: number,
  ): Steps<void> {
    const from = context.node(request);
    const to = context.node(request, newdir);
    const name = request.cname(nameOffset);
    const newName = request.cname(nameOffset + name.length);
    const moved = yield* nodes.knownAt(from, name);
    const replaced = yield* nodes.knownAt(to, newName);
    if (replaced !== undefined && replaced !== moved && !(flags & RENAME_EXCHANGE)) {
      yield* nodes.pin(replaced);
    }
    yield* context.fd(from);
    const directory = yield* context.fd(to);
    const source = yield* context.fd(from); // again: the second may have cost the first its descriptor
    context.actAs(request);
    const result = yield call("renameat2", source, name, directory, newName, flags);
    if (result >= 0) {
      if (moved !== undefined) nodes.renamed(moved, to, newName);
      if (flags & RENAME_EXCHANGE && replaced !== undefined) nodes.renamed(replaced, from, name);
    } else if (replaced !== undefined) nodes.renamed(replaced, to, newName);
    conclude(request, result);
  };

  const readlink = function* (request: Request): Steps<void> {
    const path = yield* context.fd(context.node(request));
    const answer = context.answer(PATH_MAX);
    const length = yield call("readlinkat", path, EMPTY_PATH, answer.bytes.subarray(0, PATH_MAX));
    if (length < 0) request.replyError(-length);
    else request.reply(answer, length);
  };

  const forget = (request: Request) => {
    nodes.forget(request.nodeNumber, kernel.fuse_forget_in.getNumber.nlookup(request.view, ARGS));
    request.replyNone();
  };

  const batchForget = (request: Request) => {
    const count = kernel.fuse_batch_forget_in.get.count(request.view, ARGS);
    const { getNumber, size } = kernel.fuse_forget_one;
    for (let i = 0, at = ARGS + kernel.fuse_batch_forget_in.size; i < count; i++, at += size) {
      if (at + size > request.length) throw new SysError("FUSE_BATCH_FORGET", Errno.EINVAL);
      nodes.forget(getNumber.nodeid(request.view, at), getNumber.nlookup(request.view, at));
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
    [kernel.FUSE_UNLINK, (request) => remove(request, 0)],
    [kernel.FUSE_RMDIR, (request) => remove(request, AT_REMOVEDIR)],
    [kernel.FUSE_RENAME, (request) => {
      const { getNumber, size } = kernel.fuse_rename_in;
      return rename(request, ARGS + size, getNumber.newdir(request.view, ARGS), 0);
    }],
    [kernel.FUSE_RENAME2, (request) => {
      const { get, getNumber, size } = kernel.fuse_rename2_in;
      return rename(
        request,
        ARGS + size,
        getNumber.newdir(request.view, ARGS),
        get.flags(request.view, ARGS),
      );
    }],
    [kernel.FUSE_READLINK, readlink],
  ];
}
