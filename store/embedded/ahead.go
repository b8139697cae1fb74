package embedded

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// aheadFS makes the files of the engine's log larger than what is in them: what
// follows is zeros, which the engine takes for the end. To sync what was written
// over zeros is to write it; to sync what made a file longer is a commit of the
// file system's own journal as well, which takes twice as long and twice the
// processor. The engine gets there by itself only once it uses its files again,
// after it has written some hundred megabytes.
type aheadFS struct{ vfs.FS }

// categoryLog is the engine's word for its log.
const categoryLog vfs.DiskWriteCategory = "pebble-wal"

const (
	// aheadStep is by how much a file grows at once.
	aheadStep = 256 << 10
	// aheadLittle is what a sync must be about at most for zeros to be worth their
	// while: they are written twice.
	aheadLittle = 16 << 10
)

// Create implements vfs.FS.
func (fs aheadFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || category != categoryLog {
		return f, err
	}
	return &aheadFile{File: f}, nil
}

// Unwrap implements vfs.FS.
func (fs aheadFS) Unwrap() vfs.FS { return fs.FS }

// aheadFile is a file of the log that is written from its beginning, by one
// goroutine.
type aheadFile struct {
	vfs.File
	written, synced, size int64
}

// Write implements vfs.File.
func (f *aheadFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written += int64(n)
	return n, err
}

// SyncData implements vfs.File. That there is no room for zeros is no error:
// there is for what was written.
func (f *aheadFile) SyncData() error {
	if f.written-f.synced <= aheadLittle && f.written+aheadLittle > f.size {
		if n, err := f.WriteAt(make([]byte, aheadStep), f.written); err == nil {
			f.size = f.written + int64(n)
		}
	}
	f.synced = f.written
	return f.File.SyncData()
}
