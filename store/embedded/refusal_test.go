package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"vitrine/consent"
	"vitrine/store"
)

// heldFS holds up what is synced while it is held.
type heldFS struct {
	vfs.FS
	held atomic.Pointer[chan struct{}]
}

func (fs *heldFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return heldFile{f, fs}, err
}

func (fs *heldFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	return heldFile{f, fs}, err
}

type heldFile struct {
	vfs.File
	fs *heldFS
}

func (f heldFile) wait() {
	if held := f.fs.held.Load(); held != nil {
		<-*held
	}
}

func (f heldFile) Sync() error {
	f.wait()
	return f.File.Sync()
}

func (f heldFile) SyncData() error {
	f.wait()
	return f.File.SyncData()
}

// TestRefusalWaitsForWhatItSaw: a write that refuses because of another, which a
// crash could still take back, says so only when that is on the disk. So does one
// that has nothing to write.
func TestRefusalWaitsForWhatItSaw(t *testing.T) {
	opt := options(t)
	disk := &heldFS{FS: vfs.Default}
	opt.disk = disk
	db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	defer db.Close()
	errStale := errors.New("stale")
	for id, answer := range map[string]error{"refused": errStale, "nothing": nil} {
		held := make(chan struct{})
		disk.held.Store(&held)
		entered, written, second := make(chan struct{}), make(chan error, 1), make(chan error, 1)
		go func() {
			written <- db.Write(context.Background(), func(tx store.Tx) error {
				close(entered)
				return tx.Put(small(id, "1"))
			})
		}()
		<-entered // who comes now comes after
		go func() {
			second <- db.Write(context.Background(), func(tx store.Tx) error {
				if _, err := tx.Read(context.Background(), consent.Everything(), "Observation", id); err != nil {
					return err
				}
				return answer
			})
		}()
		select {
		case err := <-second:
			t.Errorf("%s: %v was told before the disk had what it saw", id, err)
			second <- err
		case <-time.After(50 * time.Millisecond):
		}
		disk.held.Store(nil)
		close(held)
		if err := <-second; !errors.Is(err, answer) {
			t.Errorf("%s: got %v, want %v", id, err, answer)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}
