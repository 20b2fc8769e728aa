/* What a tracer could disturb: dispositions, blocked and queued signals, SIGTRAP, seccomp, and processes that are dead. See victim.h. */
#include "victim.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>

/* Every one of these holds a file, so that there is a reason to move it. */
static int held;
static off_t held_at;

static void hold_file(void)
{
	make_file("held", 1, 5000);
	held = open_in("held", O_RDONLY);
}

static void check_file(void)
{
	expect(reads_pattern(held, 1, held_at, 10), "at %ld", (long)lseek(held, 0, SEEK_CUR));
	held_at += 10;
}

/* ---- SIGTRAP: blocked, ignored, handled, blocked and ignored, blocked and pending */

static volatile sig_atomic_t traps;

static void count_trap(int signal)
{
	(void)signal;
	traps++;
}

static void set_trap(void (*handler)(int), int block)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	sigaddset(&action.sa_mask, SIGUSR2);
	must(sigaction(SIGTRAP, &action, NULL) == 0);
	must(sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL) == 0);
}

static void expect_trap(void (*handler)(int), int block)
{
	struct sigaction action;
	sigset_t blocked;
	sigaction(SIGTRAP, NULL, &action);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	expect(action.sa_handler == handler && sigismember(&action.sa_mask, SIGUSR2) == 1, "SIGTRAP is handled otherwise");
	expect(sigismember(&blocked, SIGTRAP) == block, "SIGTRAP is blocked: %d", sigismember(&blocked, SIGTRAP));
	check_file();
}

static void set_up_trap_blocked(void)
{
	hold_file();
	set_trap(SIG_DFL, 1);
}

static void check_trap_blocked(void)
{
	sigset_t pending;
	expect_trap(SIG_DFL, 1);
	sigpending(&pending);
	expect(sigismember(&pending, SIGTRAP) == 0, "a SIGTRAP is pending");
}

static void set_up_trap_ignored(void)
{
	hold_file();
	set_trap(SIG_IGN, 0);
}

static void check_trap_ignored(void)
{
	expect_trap(SIG_IGN, 0);
	raise(SIGTRAP);
}

static void set_up_trap_both(void)
{
	hold_file();
	set_trap(SIG_IGN, 1);
}

static void check_trap_both(void)
{
	expect_trap(SIG_IGN, 1);
	raise(SIGTRAP);
}

static int trap_count;

static void set_up_trap_handled(void)
{
	hold_file();
	set_trap(count_trap, 0);
}

static void check_trap_handled(void)
{
	expect_trap(count_trap, 0);
	expect(traps == trap_count, "handled %d times instead of %d", traps, trap_count);
	raise(SIGTRAP);
	expect(traps == ++trap_count, "not handled any more");
}

static void set_up_trap_pending(void)
{
	hold_file();
	set_trap(count_trap, 1);
	raise(SIGTRAP);
}

static void check_trap_pending(void)
{
	sigset_t pending;
	expect_trap(count_trap, 1);
	sigpending(&pending);
	expect(sigismember(&pending, SIGTRAP) == 1 && traps == 0, "the pending SIGTRAP is gone");
}

/* ---- queued: real-time signals with values, for the process and for the thread, and an alternative stack */

enum { QUEUED = 5 };
static char alternative[65536];

static void set_up_queued(void)
{
	sigset_t all;
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof alternative };
	hold_file();
	sigfillset(&all);
	must(sigprocmask(SIG_BLOCK, &all, NULL) == 0 && sigaltstack(&stack, NULL) == 0);
	for (int i = 0; i < QUEUED; i++) {
		must(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }) == 0);
		must(pthread_sigqueue(pthread_self(), SIGRTMIN + 2, (union sigval){ .sival_int = 100 + i }) == 0);
	}
}

static void check_queued(void)
{
	stack_t stack;
	sigaltstack(NULL, &stack);
	expect(stack.ss_sp == alternative && stack.ss_size == sizeof alternative, "another alternative stack");
	check_file();
}

static void finish_queued(void)
{
	struct timespec now = { 0, 0 };
	for (int signal = SIGRTMIN + 1; signal <= SIGRTMIN + 2; signal++) {
		sigset_t set;
		siginfo_t info;
		sigemptyset(&set);
		sigaddset(&set, signal);
		for (int i = 0; i < QUEUED; i++) {
			int value = i + (signal == SIGRTMIN + 2 ? 100 : 0);
			expect(sigtimedwait(&set, &info, &now) == signal && info.si_int == value, "signal %d lacks value %d", signal,
			       value);
		}
		expect(sigtimedwait(&set, &info, &now) < 0, "too many signals");
	}
}

/* ---- seccomp: strict, and filters that kill, or give an error, for whatever is not needed here */

static void serve_strict(void)
{
	char order;
	const char *const verdicts[] = { "bad: another offset\n", "ok\n" };
	static unsigned char bytes[10];
	say("ready\n");
	for (;;) {
		off_t at = held_at;
		char line[8];
		int length = 0;
		while (length < 7 && read(0, &order, 1) == 1 && order != '\n')
			line[length++] = order;
		int last = length == 3 && line[0] == 'e';
		int fine = length > 0 && read(held, bytes, sizeof bytes) == sizeof bytes &&
			   pattern_matches(1, (uint32_t)at, bytes, sizeof bytes);
		held_at += sizeof bytes;
		if (length > 0)
			say(verdicts[fine]);
		if (last || length == 0)
			syscall(SYS_exit, length == 0);
	}
}

static void set_up_strict(void)
{
	hold_file();
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	serve_strict();
}

static void filter(unsigned otherwise)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = { sizeof program / sizeof program[0], program };
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all) == 0);
}

static void set_up_filter_kill(void)
{
	hold_file();
	filter(SECCOMP_RET_KILL_PROCESS);
	serve_strict();
}

static void set_up_filter_errno(void)
{
	hold_file();
	filter(SECCOMP_RET_ERRNO | EPERM);
	serve_strict();
}

static void set_up_filter_trap(void)
{
	hold_file();
	filter(SECCOMP_RET_TRAP);
	serve_strict();
}

/* ---- undumpable: nobody but root may look at it */

static void set_up_undumpable(void)
{
	hold_file();
	must(prctl(PR_SET_DUMPABLE, 0) == 0);
}

static void check_undumpable(void)
{
	check_file();
	expect(prctl(PR_GET_DUMPABLE) == 0, "it is dumpable");
}

/* ---- zombie: a child that has ended and was not waited for, beside one that holds the file */

static pid_t zombie;

static void set_up_zombie(void)
{
	siginfo_t info;
	hold_file();
	zombie = fork();
	must(zombie >= 0);
	if (zombie == 0)
		_exit(37);
	must(waitid(P_PID, zombie, &info, WEXITED | WNOWAIT) == 0);
	belongs(zombie);
}

static void finish_zombie(void)
{
	int status = -1;
	check_file();
	expect(waitpid(zombie, &status, WNOHANG) == zombie && WIFEXITED(status) && WEXITSTATUS(status) == 37, "status %x", status);
}

/* ---- stopped child: a child that is stopped by SIGSTOP, and whose parent has not been told or has */

static pid_t stopped;

static void set_up_stopped(void)
{
	siginfo_t info;
	hold_file();
	stopped = fork();
	must(stopped >= 0);
	if (stopped == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raise(SIGSTOP);
		_exit(reads_pattern(held, 1, 0, 10) ? 38 : 39);
	}
	must(waitid(P_PID, stopped, &info, WSTOPPED | WNOWAIT) == 0);
	belongs(stopped);
}

static void finish_stopped(void)
{
	int status = -1;
	expect(waitpid(stopped, &status, WUNTRACED | WNOHANG) == stopped && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
	       "the stop is not told: %x", status);
	kill(stopped, SIGCONT);
	expect(waitpid(stopped, &status, 0) == stopped && WIFEXITED(status) && WEXITSTATUS(status) == 38, "ended with %x", status);
}

static const struct victim_case cases[] = {
	{ "trap-blocked", set_up_trap_blocked, check_trap_blocked, NULL },
	{ "trap-ignored", set_up_trap_ignored, check_trap_ignored, NULL },
	{ "trap-both", set_up_trap_both, check_trap_both, NULL },
	{ "trap-handled", set_up_trap_handled, check_trap_handled, NULL },
	{ "trap-pending", set_up_trap_pending, check_trap_pending, NULL },
	{ "queued", set_up_queued, check_queued, finish_queued },
	{ "strict", set_up_strict, NULL, NULL },
	{ "filter-kill", set_up_filter_kill, NULL, NULL },
	{ "filter-errno", set_up_filter_errno, NULL, NULL },
	{ "filter-trap", set_up_filter_trap, NULL, NULL },
	{ "undumpable", set_up_undumpable, check_undumpable, NULL },
	{ "zombie", set_up_zombie, check_file, finish_zombie },
	{ "stopped", set_up_stopped, NULL, finish_stopped },
};
VICTIM(cases)
