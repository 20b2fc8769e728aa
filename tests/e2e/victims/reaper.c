/*
 * reaper COMMAND...
 *
 * Becomes a command that CRIU can dump without options together with whatever it starts: it has left its caller's session and files, and those
 * whose parent has ended become its children.
 */
#include "detached.h"

#include <stdio.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	detach();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return 1;
	execv(argv[1], argv + 1);
	return 1;
}
