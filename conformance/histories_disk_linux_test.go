package conformance

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestHistoriesOfAFullDisk fills the disk while clients are at work. Nothing is
// taken then, nor shown, since it could not be recorded; with room again everything
// goes on by itself, and nothing that was acknowledged is lost, by a crash either.
func TestHistoriesOfAFullDisk(t *testing.T) {
	if onMongoDB() {
		t.Skip("it is a disk of the database's, not of the server's")
	}
	const size, reserve = 128 << 20, "32MiB"
	disk := smallDisk(t, size)
	c := castOn(t, start(t, disk+"/data", "--disk-reserve", reserve))
	b := newBench(t, c, 500)
	var full, free time.Duration
	work(b, []*server{c.server}, b.seed(0), 100, func() {
		ballast := fill(t, disk, size)
		full = time.Since(b.began)
		if a := c.do(t, "", get(c.server.root+"/readyz")); a.status != http.StatusServiceUnavailable {
			t.Errorf("ready with a full disk: %d", a.status)
		}
		b.await(60)
		free = time.Since(b.began)
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
		b.await(100)
	})
	c.kill()
	c.serve(t, "--disk-reserve", reserve)
	refused, after := 0, 0
	for _, one := range b.calls {
		switch {
		case one.invoked > full && one.returned < free && one.outcome == done:
			t.Errorf("done with a full disk: %s", one)
		case one.status == http.StatusServiceUnavailable:
			refused++
		case one.invoked > free && one.outcome == done:
			after++
		}
	}
	if refused == 0 || after == 0 {
		t.Errorf("%d requests refused for want of room, %d done when there was room", refused, after)
	}
	total := figures{crashes: 1}
	b.judge(t, c.server, c.auditor, &total)
	t.Logf("%d refused for want of room, %d done afterwards: %s", refused, after, total.String())
}

// TestHistoriesOfAQuota takes from the server the right to write to files, which
// no look at the disk foretells. It ends, rather than to go on with half a log,
// and nothing that was acknowledged is lost.
func TestHistoriesOfAQuota(t *testing.T) {
	t.Parallel()
	if onMongoDB() {
		t.Skip("it is a disk of the database's, not of the server's")
	}
	c := newCast(t)
	b := newBench(t, c, 501)
	total := figures{}
	for life := range 2 {
		work(b, []*server{c.server}, b.seed(life), 60, func() {
			limitFiles(t, c.cmd.Process.Pid)
			c.ends(t)
		})
		c.serve(t)
		total.crashes++
	}
	b.judge(t, c.server, c.auditor, &total)
	t.Log(total.String())
}

// ends waits until the server ends by itself.
func (s *server) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.exit:
		if err == nil {
			t.Error("it ended as if all were well")
		}
		s.cmd = nil
	case <-time.After(20 * time.Second):
		t.Fatalf("it has not ended\n%.2000s", s.log)
	}
}

// smallDisk mounts a file system of a size, which only root may.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("NOT RUN: a small disk can be mounted by root alone; TestHistoriesOfAQuota is there for everybody")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all that is left of a disk.
func fill(t *testing.T, dir string, most int64) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, step := int64(0), most; step >= 4096; {
		if err := syscall.Fallocate(int(f.Fd()), 0, at, step); err != nil {
			step /= 2
			continue
		}
		at += step
	}
	return f.Name()
}

// limitFiles sets the size of files that a process may write to nothing.
func limitFiles(t *testing.T, pid int) {
	t.Helper()
	none := syscall.Rlimit{Cur: 0, Max: math.MaxUint64}
	_, _, failed := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
	if failed != 0 {
		t.Fatal(failed)
	}
}
