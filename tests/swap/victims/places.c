/* Working directories, roots, the program itself, and tasks that share or do not share these. See victim.h. */
#include "victim.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>

/* Whether a file that is made below a directory by `make_marker` is found by a relative path. */
static void make_marker(const char *folder, unsigned seed)
{
	char name[64];
	must(mkdir(in(folder), 0755) == 0);
	snprintf(name, sizeof name, "%s/marker", folder);
	make_file(name, seed, 500);
}

static void look_for_marker(const char *path, unsigned seed)
{
	int fd = open(path, O_RDONLY);
	expect(fd >= 0 && reads_pattern(fd, seed, 0, 500), "%s is not there or another", path);
	close(fd);
}

/* ---- cwd */

static void set_up_cwd(void)
{
	make_marker("work", 1);
	must(chdir(in("work")) == 0);
}

static void check_cwd(void)
{
	char path[4096] = "", ending[] = "/work";
	expect(getcwd(path, sizeof path) != NULL && strlen(path) > 5 && strcmp(path + strlen(path) - 5, ending) == 0, "cwd is %s",
	       path);
	look_for_marker("marker", 1);
	look_for_marker("../work/marker", 1);
}

static void set_up_cwd_top(void)
{
	make_marker("work", 1);
	must(chdir(directory) == 0);
}

static void check_cwd_top(void)
{
	look_for_marker("work/marker", 1);
	look_for_marker("./work/../work/marker", 1);
}

static void set_up_cwd_removed(void)
{
	must(mkdir(in("removed"), 0755) == 0 && chdir(in("removed")) == 0 && rmdir(in("removed")) == 0);
}

static void check_cwd_removed(void)
{
	char path[4096];
	expect(getcwd(path, sizeof path) == NULL && errno == ENOENT, "cwd is there");
}

/* ---- root: the mount itself, with the working directory below; a directory of it, with the working directory outside */

static void set_up_root(void)
{
	make_marker("work", 2);
	must(chroot(directory) == 0 && chdir("/work") == 0);
}

static void check_root(void)
{
	char path[4096] = "";
	struct stat up, top;
	expect(getcwd(path, sizeof path) != NULL && strcmp(path, "/work") == 0, "cwd is %s", path);
	look_for_marker("/work/marker", 2);
	look_for_marker("marker", 2);
	expect(stat("/..", &up) == 0 && stat("/", &top) == 0 && up.st_ino == top.st_ino && up.st_dev == top.st_dev, "out of the root");
}

static void set_up_root_below(void)
{
	make_marker("jail", 3);
	must(chroot(in("jail")) == 0);
}

static void check_root_below(void)
{
	struct stat up, top;
	look_for_marker("/marker", 3);
	expect(stat("/..", &up) == 0 && stat("/", &top) == 0 && up.st_ino == top.st_ino, "out of the root");
}

/* ---- root-dropped: a root that the process could not take itself any more */

static void set_up_root_dropped(void)
{
	set_up_root();
	must(setgid(54321) == 0 && setuid(54321) == 0);
}

/* ---- exe: the program lies on the mount (the test sees to that) */

static char exe_name[4096];

static void set_up_exe(void)
{
	ssize_t length = readlink("/proc/self/exe", exe_name, sizeof exe_name - 1);
	must(length > 0 && strncmp(exe_name, directory, strlen(directory)) == 0);
}

static void check_exe(void)
{
	char path[4096] = "", magic[4] = "";
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	expect(length > 0 && strcmp(strrchr(path, '/'), strrchr(exe_name, '/')) == 0, "exe is %s", path);
	int fd = open("/proc/self/exe", O_RDONLY);
	expect(fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0, "exe is no program");
	close(fd);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "exe", NULL);
		_exit(99);
	}
	int status = -1;
	waitpid(child, &status, 0);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 2, "exe cannot be run: %x", status);
}

/* ---- exe-locked: as exe, with all of its memory locked: code, what is only read, what the loader has protected, and data */

static const unsigned char locked_constants[3 * PAGE] = { [0] = 1, [PAGE] = 2, [3 * PAGE - 1] = 3 };
static unsigned char locked_data[3 * PAGE] = { [0] = 4, [PAGE] = 5, [3 * PAGE - 1] = 6 };
static int (*const volatile locked_relocated)(const char *, const char *) = strcmp;

static void set_up_exe_locked(void)
{
	set_up_exe();
	must(mlockall(MCL_CURRENT) == 0);
	locked_data[PAGE + 1] = 7;
}

static long locked_kilobytes(void)
{
	char line[256];
	long size = -1;
	FILE *status = fopen("/proc/self/status", "r");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		sscanf(line, "VmLck: %ld", &size);
	if (status != NULL)
		fclose(status);
	return size;
}

static void check_exe_locked(void)
{
	const volatile unsigned char *constants = locked_constants, *data = locked_data;
	expect(constants[0] == 1 && constants[PAGE] == 2 && constants[3 * PAGE - 1] == 3, "constants are others");
	expect(data[0] == 4 && data[PAGE] == 5 && data[PAGE + 1] == 7 && data[3 * PAGE - 1] == 6, "data are others");
	expect(locked_relocated("a", "a") == 0, "a pointer is another");
	expect(locked_kilobytes() > 100, "%ld kB are locked", locked_kilobytes());
	check_exe();
}

/* ---- threads with tables of their own */

struct worker {
	sem_t go, done;
	void (*check)(void);
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	worker->check();
	sem_post(&worker->done);
	for (;;) {
		while (sem_wait(&worker->go) != 0)
			;
		worker->check();
		sem_post(&worker->done);
	}
	return NULL;
}

static void let_work(struct worker *worker)
{
	sem_post(&worker->go);
	while (sem_wait(&worker->done) != 0)
		;
}

/* `first` is called once in the thread, as its first check. */
static void start_worker(struct worker *worker, void (*first)(void), void (*check)(void))
{
	pthread_t thread;
	worker->check = first;
	must(sem_init(&worker->go, 0, 0) == 0 && sem_init(&worker->done, 0, 0) == 0);
	must(pthread_create(&thread, NULL, work, worker) == 0);
	while (sem_wait(&worker->done) != 0)
		;
	worker->check = check;
}

static struct worker files_worker;
static int own_fd, main_fd, common_fd;
static off_t own_at, main_at, common_at;

static void unshare_files(void)
{
	must(unshare(CLONE_FILES) == 0);
	must(close(main_fd) == 0);
	own_fd = open_in("own", O_RDONLY);
	must(own_fd == main_fd); /* the same number, another file */
}

static void look_at_own(void)
{
	expect(reads_pattern(own_fd, 4, own_at, 20), "the thread's own is at %ld", (long)lseek(own_fd, 0, SEEK_CUR));
	own_at += 20;
	expect(reads_pattern(common_fd, 6, common_at, 20), "the common one is at %ld", (long)lseek(common_fd, 0, SEEK_CUR));
	common_at += 20;
}

static void set_up_thread_files(void)
{
	make_file("own", 4, 5000);
	make_file("mains", 5, 5000);
	make_file("common", 6, 5000);
	main_fd = open_in("mains", O_RDONLY);
	common_fd = open_in("common", O_RDONLY);
	start_worker(&files_worker, unshare_files, look_at_own);
}

static void check_thread_files(void)
{
	let_work(&files_worker);
	expect(reads_pattern(main_fd, 5, main_at, 20), "the main thread's is at %ld", (long)lseek(main_fd, 0, SEEK_CUR));
	main_at += 20;
	expect(reads_pattern(common_fd, 6, common_at, 20), "the common one is at %ld", (long)lseek(common_fd, 0, SEEK_CUR));
	common_at += 20;
}

static struct worker fs_worker;

static void unshare_fs(void)
{
	must(unshare(CLONE_FS) == 0 && chdir(in("elsewhere")) == 0);
}

static void look_elsewhere(void)
{
	look_for_marker("marker", 7);
	look_for_marker("../work/marker", 1);
}

static void set_up_thread_fs(void)
{
	make_marker("elsewhere", 7);
	set_up_cwd();
	start_worker(&fs_worker, unshare_fs, look_elsewhere);
}

static void check_thread_fs(void)
{
	let_work(&fs_worker);
	check_cwd();
}

/* ---- processes that share a table, the working directory or their memory */

static char clone_stack[65536] __attribute__((aligned(16)));
static int clone_down[2], clone_up[2];
static void (*clone_check)(void);

static int serve_clone(void *unused)
{
	(void)unused;
	char order;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(clone_down[0], &order, 1) == 1) {
		clone_check();
		if (write(clone_up[1], &order, 1) != 1)
			break;
	}
	return 0;
}

static void start_clone(int flags, void (*check)(void))
{
	must(pipe(clone_down) == 0 && pipe(clone_up) == 0);
	clone_check = check;
	pid_t pid = clone(serve_clone, clone_stack + sizeof clone_stack, flags | SIGCHLD, NULL);
	must(pid > 0);
	belongs(pid);
}

static char (*clone_found)[COMPLAINT];

static void ask_clone(void)
{
	char order = 'c';
	clone_found[0][0] = 0;
	expect(write(clone_down[1], &order, 1) == 1 && read(clone_up[0], &order, 1) == 1, "the other process has ended");
	if (clone_found[0][0] != 0)
		complain("the other process: %s", *clone_found);
}

static int clone_fd;
static off_t *clone_at;

static void look_as_clone_of_files(void)
{
	if (!reads_pattern(clone_fd, 8, *clone_at, 15))
		snprintf(*clone_found, COMPLAINT, "at %ld, not %ld", (long)lseek(clone_fd, 0, SEEK_CUR), (long)*clone_at);
	*clone_at += 15;
}

static void set_up_clone_files(void)
{
	clone_found = shared_memory(COMPLAINT);
	clone_at = shared_memory(sizeof *clone_at);
	make_file("table", 8, 5000);
	clone_fd = open_in("table", O_RDONLY);
	start_clone(CLONE_FILES, look_as_clone_of_files);
}

static void check_clone_files(void)
{
	ask_clone();
	expect(reads_pattern(clone_fd, 8, *clone_at, 15), "at %ld", (long)lseek(clone_fd, 0, SEEK_CUR));
	*clone_at += 15;
}

static void look_as_clone_of_fs(void)
{
	struct stat st;
	if (stat("marker", &st) != 0 || st.st_size != 500)
		snprintf(*clone_found, COMPLAINT, "no marker in the working directory");
}

static void set_up_clone_fs(void)
{
	clone_found = shared_memory(COMPLAINT);
	set_up_cwd();
	start_clone(CLONE_FS, look_as_clone_of_fs);
}

static void check_clone_fs(void)
{
	ask_clone();
	check_cwd();
}

static unsigned char *clone_map;

static void look_as_clone_of_memory(void)
{
	if (clone_map[PAGE] != 0xd1 || !pattern_matches(9, 0, clone_map, PAGE))
		snprintf(*clone_found, COMPLAINT, "other bytes are mapped");
	clone_map[PAGE + 1]++;
}

static unsigned char clone_count;

static void set_up_clone_memory(void)
{
	clone_found = shared_memory(COMPLAINT);
	make_file("memory", 9, 2 * PAGE);
	int fd = open_in("memory", O_RDONLY);
	clone_map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(clone_map != MAP_FAILED);
	clone_map[PAGE] = 0xd1;
	clone_map[PAGE + 1] = 0;
	start_clone(CLONE_VM, look_as_clone_of_memory);
}

static void check_clone_memory(void)
{
	ask_clone();
	expect(clone_map[PAGE + 1] == ++clone_count, "what the other process wrote is not there: %d", clone_map[PAGE + 1]);
}

/* ---- leader: the first thread of a process has ended, the others go on */

static int leader_fd, leader_to[2], leader_from[2];
static off_t *leader_at;
static pid_t leader_pid;

/* Nothing announces it: until then the first thread's files may be there or not. */
static void await_end_of_first(void)
{
	char path[64], text[512], *state;
	snprintf(path, sizeof path, "/proc/%d/stat", getpid());
	do {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t length = read(fd, text, sizeof text - 1);
		must(fd >= 0 && length > 0);
		close(fd);
		text[length] = '\0';
		must((state = strrchr(text, ')')) != NULL);
	} while (state[2] != 'Z' && usleep(1000) == 0);
}

static void *outlive(void *unused)
{
	char order = 'e';
	await_end_of_first();
	must(write(leader_from[1], &order, 1) == 1);
	while (read(leader_to[0], &order, 1) == 1) {
		order = (char)reads_pattern(leader_fd, 10, *leader_at, 25);
		*leader_at += 25;
		if (write(leader_from[1], &order, 1) != 1)
			break;
	}
	_exit(0);
	return unused;
}

static void set_up_leader(void)
{
	make_file("leader", 10, 5000);
	leader_at = shared_memory(sizeof *leader_at);
	must(pipe(leader_to) == 0 && pipe(leader_from) == 0);
	leader_pid = fork();
	must(leader_pid >= 0);
	if (leader_pid == 0) {
		pthread_t thread;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		leader_fd = open_in("leader", O_RDONLY);
		must(chdir(directory) == 0 && pthread_create(&thread, NULL, outlive, NULL) == 0);
		close(leader_to[1]);
		pthread_exit(NULL);
	}
	char ended;
	must(read(leader_from[0], &ended, 1) == 1);
	belongs(leader_pid);
}

static void check_leader(void)
{
	char order = 'c';
	expect(write(leader_to[1], &order, 1) == 1 && read(leader_from[0], &order, 1) == 1 && order == 1, "at another offset");
}

static const struct victim_case cases[] = {
	{ "cwd", set_up_cwd, check_cwd, NULL },
	{ "cwd-top", set_up_cwd_top, check_cwd_top, NULL },
	{ "cwd-removed", set_up_cwd_removed, check_cwd_removed, NULL },
	{ "root", set_up_root, check_root, NULL },
	{ "root-below", set_up_root_below, check_root_below, NULL },
	{ "root-dropped", set_up_root_dropped, check_root, NULL },
	{ "exe", set_up_exe, check_exe, NULL },
	{ "exe-locked", set_up_exe_locked, check_exe_locked, NULL },
	{ "thread-files", set_up_thread_files, check_thread_files, NULL },
	{ "thread-fs", set_up_thread_fs, check_thread_fs, NULL },
	{ "clone-files", set_up_clone_files, check_clone_files, NULL },
	{ "clone-fs", set_up_clone_fs, check_clone_fs, NULL },
	{ "clone-memory", set_up_clone_memory, check_clone_memory, NULL },
	{ "leader", set_up_leader, check_leader, NULL },
};
VICTIM(cases)
