/*
 * A thread that computes without system calls, with values in vector registers that a system call may clear: see busy.h.
 */
#include "busy.h"

#include <sys/auxv.h>

enum { LONGEST = 256, TURNS = 20000000 };

static unsigned char before[LONGEST], after[LONGEST];
static int held;

/* Loads a vector, stays a while, and stores it. Tells its length. */
#if defined(__aarch64__)
static long keep_scalable(void)
{
	long length, turns = TURNS;
	unsigned char predicate[LONGEST / 8];
	__asm__ volatile(".arch armv8-a+sve\n\t"
			 "cntb %0\n\tptrue p0.b\n\tptrue p3.b, vl3\n\tld1b z5.b, p0/z, [%2]\n"
			 "1:\n\tsubs %1, %1, #1\n\tb.ne 1b\n\tst1b z5.b, p0, [%3]\n\tstr p3, [%4]"
			 : "=&r"(length), "+r"(turns)
			 : "r"(before), "r"(after), "r"(predicate)
			 : "v5", "memory", "cc");
	right(predicate[0] == 7, "a predicate is %x", predicate[0]);
	return length;
}

static long keep_plain(void)
{
	long turns = TURNS;
	__asm__ volatile("ldr q5, [%1]\n1:\n\tsubs %0, %0, #1\n\tb.ne 1b\n\tstr q5, [%2]"
			 : "+r"(turns)
			 : "r"(before), "r"(after)
			 : "v5", "memory", "cc");
	return 16;
}

static long keep(void)
{
	enum { SCALABLE = 1 << 22 };
	return getauxval(AT_HWCAP) & SCALABLE ? keep_scalable() : keep_plain();
}
#else
static long keep(void)
{
	long turns = TURNS;
	__asm__ volatile("movdqu (%1), %%xmm5\n1:\n\tdec %0\n\tjnz 1b\n\tmovdqu %%xmm5, (%2)"
			 : "+r"(turns)
			 : "r"(before), "r"(after)
			 : "xmm5", "memory", "cc");
	return 16;
}
#endif

static void compute(int number)
{
	(void)number;
	memset(after, 0, sizeof after);
	long length = keep();
	right(memcmp(before, after, length) == 0, "a vector of %ld bytes has changed", length);
}

static void set_up(void)
{
	make_file("held", 1, 100);
	held = open_in("held", O_RDONLY);
	for (int i = 0; i < LONGEST; i++)
		before[i] = pattern_byte(2, i);
	busy_thread("computation", compute, 0);
}

static const struct victim_case cases[] = { { "vectors", set_up, check_busy, stop_busy } };
VICTIM(cases)
