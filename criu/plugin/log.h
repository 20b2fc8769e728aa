/* CRIU's log. CRIU's own header for it needs others that are not installed with it. */
#ifndef SPFS_LOG_H
#define SPFS_LOG_H

extern void print_on_level(unsigned int level, const char *format, ...) __attribute__((format(printf, 2, 3), visibility("default")));

/* What went wrong, as a line without its newline. */
#define log_error(format, ...) print_on_level(1, "Error (spfs): " format "\n", ##__VA_ARGS__)
/* What was done. */
#define log_info(format, ...) print_on_level(3, "spfs: " format "\n", ##__VA_ARGS__)

#endif
