package main

import (
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// cacheShare is the part of the memory that the block cache may take. Between
	// two collections the heap it lies in grows to twice that.
	cacheShare = 8
	leastCache = 64 << 20
	mostCache  = 16 << 30
	// usualCache is taken where the memory is not known.
	usualCache = 256 << 20
)

// blockCache is the size of the block cache on this machine.
func (c *settings) blockCache() byteSize {
	return c.cache(os.DirFS("/"), debug.SetMemoryLimit(-1))
}

// cache is the size that was set, or a share of the memory that the process may
// have, in whole MiB.
func (c *settings) cache(root fs.FS, limit int64) byteSize {
	if c.CacheSize > 0 {
		return c.CacheSize
	}
	m, ok := memory(root, limit)
	if !ok {
		return usualCache
	}
	return byteSize(min(max(m/cacheShare, leastCache), mostCache) >> 20 << 20)
}

// memory is how many bytes the process may have: the machine's, or less when a
// control group or the limit of the Go heap says so. It is not known on systems
// other than Linux.
func memory(root fs.FS, limit int64) (bytes int64, ok bool) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if n, err := strconv.ParseInt(f[1], 10, 42); err == nil && n > 0 {
				return min(n<<10, limit, grouped(root, limit)), true
			}
		}
	}
	return 0, false
}

// grouped is the least limit among the process's control groups and those around
// them, of the first version and the second; most when there is none. A group
// that is not seen from inside a container is the one mounted there.
func grouped(root fs.FS, most int64) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return most
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case f[1] == "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case f[1] != "":
			continue
		}
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			text, err := fs.ReadFile(root, path.Join(mount, dir, file))
			if n, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil && n > 0 {
				most = min(most, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	return most
}
