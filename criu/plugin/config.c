#define _GNU_SOURCE
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "log.h"

static const char default_name[] = "spfs-restore.json";

/* More than any configuration, and less than the longest line of the protocol. */
enum { MAX_SIZE = 4 << 20, CHUNK = 1 << 16 };

/* The value of a variable; NULL also when it is empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value != NULL && *value != 0 ? value : NULL;
}

static enum config read_whole(int fd, const char *name, struct text *content)
{
	for (;;) {
		if (!text_reserve(content, CHUNK)) {
			log_error("%s: no memory", name);
			return CONFIG_WRONG;
		}
		ssize_t count = read(fd, content->bytes + content->length, CHUNK);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			log_error("%s: %s", name, strerror(errno));
			return CONFIG_WRONG;
		}
		content->length += count;
		content->bytes[content->length] = 0;
		if (count == 0)
			return CONFIG_THERE;
		if (content->length > MAX_SIZE) {
			log_error("%s: larger than %d bytes", name, MAX_SIZE);
			return CONFIG_WRONG;
		}
	}
}

/* A file has to be one JSON object and nothing else: it becomes part of a line. */
static enum config check_file(const char *name, struct text *content)
{
	const char *end = content->bytes[strspn(content->bytes, " \t\r\n")] == '{' ? json_skip(content->bytes) : NULL;
	if (end == NULL || end + strspn(end, " \t\r\n") != content->bytes + content->length) {
		log_error("%s: not one object of JSON", name);
		return CONFIG_WRONG;
	}
	for (char *at = content->bytes; *at != 0; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	return CONFIG_THERE;
}

static enum config read_file(int directory, const char *name, struct text *config, bool optional)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno == ENOENT && optional)
		return CONFIG_NONE;
	if (fd < 0) {
		log_error("%s: %s", name, strerror(errno));
		return CONFIG_WRONG;
	}
	enum config result = read_whole(fd, name, config);
	close(fd);
	return result == CONFIG_THERE ? check_file(name, config) : result;
}

static bool is_type(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)word[i]) && strchr("._-", word[i]) == NULL)
			return false;
	return true;
}

/* Adds the words of a list that begin with a slash, or those that do not, as the members of an array; returns how many. */
static size_t add_words(struct text *config, const char *list, bool mountpoints)
{
	size_t count = 0;
	while (*list != 0) {
		size_t size = strcspn(list, ","), first = 0, end = size;
		while (first < end && isspace((unsigned char)list[first]))
			first++;
		while (end > first && isspace((unsigned char)list[end - 1]))
			end--;
		if (end > first && (list[first] == '/') == mountpoints) {
			text_print(config, "%s%s", count++ > 0 ? "," : "", mountpoints ? "{\"mountpoint\":" : "");
			if (!mountpoints && !is_type(list + first, end - first)) {
				log_error("SPFS_DELAY: %.*s is neither a mountpoint nor a type of file systems", (int)(end - first),
					  list + first);
				config->failed = true;
			}
			json_write(config, list + first, end - first);
			text_print(config, "%s", mountpoints ? "}" : "");
		}
		list += size + (list[size] == ',');
	}
	return count;
}

static enum config read_list(const char *list, struct text *config)
{
	text_print(config, "{\"mounts\":[");
	size_t count = add_words(config, list, true);
	text_print(config, "],\"types\":[");
	count += add_words(config, list, false);
	text_print(config, "]}");
	if (count == 0)
		log_error("SPFS_DELAY: nothing is named that is to be delayed");
	return count == 0 || config->failed ? CONFIG_WRONG : CONFIG_THERE;
}

enum config config_read(int images, struct text *config)
{
	const char *named = variable("SPFS_CONFIG"), *list = variable("SPFS_DELAY");
	if (named != NULL && list != NULL) {
		log_error("SPFS_CONFIG and SPFS_DELAY do not go together");
		return CONFIG_WRONG;
	}
	if (list != NULL)
		return read_list(list, config);
	if (named != NULL)
		return read_file(AT_FDCWD, named, config, false);
	return read_file(images, default_name, config, true);
}
