package main

import (
	"math"
	"testing"
	"testing/fstest"
)

// TestCacheIsAShareOfTheMemory: of the machine's, the container's or the heap's,
// whichever is least; and what was set is what it is.
func TestCacheIsAShareOfTheMemory(t *testing.T) {
	const (
		free  = math.MaxInt64
		eight = "MemTotal:        8388608 kB\nMemFree:         1 kB\n"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		set   byteSize
		limit int64
		want  byteSize
	}{
		{"set", map[string]string{"proc/meminfo": eight}, 17, free, 17},
		{"unknown", nil, 0, free, usualCache},
		{"unreadable", map[string]string{"proc/meminfo": "MemTotal: lots kB\n"}, 0, free, usualCache},
		{"machine", map[string]string{"proc/meminfo": eight}, 0, free, 1 << 30},
		{"heap", map[string]string{"proc/meminfo": eight}, 0, 4 << 30, 512 << 20},
		{"small", map[string]string{"proc/meminfo": "MemTotal: 262144 kB\n"}, 0, free, leastCache},
		{"large", map[string]string{"proc/meminfo": "MemTotal: 1073741824 kB\n"}, 0, free, mostCache},
		{"whole", map[string]string{"proc/meminfo": "MemTotal: 2000000 kB\n"}, 0, free, 244 << 20},
		{"container", map[string]string{
			"proc/meminfo": eight, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "2147483648\n",
		}, 0, free, 256 << 20},
		{"service", map[string]string{
			"proc/meminfo": eight, "proc/self/cgroup": "0::/system.slice/vitrine.service\n",
			"sys/fs/cgroup/system.slice/vitrine.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":                 "1073741824\n",
		}, 0, free, 128 << 20},
		{"first version", map[string]string{
			"proc/meminfo": eight, "proc/self/cgroup": "5:cpu:/a\n4:memory:/docker/abc\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "4294967296\n",
		}, 0, free, 512 << 20},
		{"no limit", map[string]string{
			"proc/meminfo": eight, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0, free, 1 << 30},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		s := settings{CacheSize: c.set}
		if got := s.cache(root, c.limit); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
