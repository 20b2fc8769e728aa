/*
 * A 32-bit program on x86_64, without a C library: `compat DIRECTORY CASE` holds DIRECTORY/held, which it makes with the bytes 0 to 99,
 * and obeys "check" and "end" as victim.h says, whatever the case is called.
 */
enum { READ = 3, WRITE = 4, OPEN = 5, EXIT = 1, O_RDWR = 2, O_CREAT = 0100 };

static int call(int number, int first, const void *second, int third)
{
	int result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
	return result;
}

static int length_of(const char *text)
{
	int length = 0;
	while (text[length] != 0)
		length++;
	return length;
}

static void say(const char *text)
{
	call(WRITE, 1, text, length_of(text));
}

/* Called with the stack as the kernel made it: argc, argv. */
__attribute__((used)) static void run(int *stack)
{
	static char path[4096];
	static unsigned char bytes[100];
	char order;
	const char *directory = (const char *)stack[2];
	int length = stack[0] > 1 ? length_of(directory) : 0, next = 0;
	for (int i = 0; i < length; i++)
		path[i] = directory[i];
	for (int i = 0; i < 6; i++)
		path[length + i] = "/held"[i];
	int fd = call(OPEN, (int)path, (const void *)(O_RDWR | O_CREAT), 0644);
	for (int i = 0; i < 100; i++)
		bytes[i] = (unsigned char)i;
	int again = call(OPEN, (int)path, (const void *)O_RDWR, 0);
	if (fd < 0 || again < 0 || call(WRITE, fd, bytes, 100) != 100)
		call(EXIT, 2, 0, 0);
	say("ready\n");
	while (call(READ, 0, &order, 1) == 1) {
		int last = order == 'e';
		while (order != '\n')
			if (call(READ, 0, &order, 1) != 1)
				call(EXIT, 3, 0, 0);
		int fine = call(READ, again, bytes, 5) == 5 && bytes[0] == next && bytes[4] == next + 4;
		next += 5;
		say(fine ? "ok\n" : "bad: other bytes\n");
		if (last)
			call(EXIT, 0, 0, 0);
	}
	call(EXIT, 1, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall run\n");
