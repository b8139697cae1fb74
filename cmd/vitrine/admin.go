package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// adminTimeout bounds one exchange on the socket; a backup may take most of it.
const adminTimeout = 30 * time.Minute

// maxAdminRequest bounds what is read from the socket.
const maxAdminRequest = 16 << 10

// errNoServer: nobody listens on the data directory's socket.
var errNoServer = errors.New("no server runs on the data directory")

// adminRequest is what is asked of a running server through its socket. The
// socket is in the data directory and for its owner alone: who may use it may
// read the whole store anyway.
type adminRequest struct {
	Command string `json:"command"`
	Path    string `json:"path,omitempty"`
	// Before bounds what is archived.
	Before time.Time `json:"before,omitzero"`
}

// adminAnswer is what comes back; an empty Error means that it was done.
type adminAnswer struct {
	Error string `json:"error,omitempty"`
}

// commandBackup asks for a backup to Path, and commandArchive to move records there.
const (
	commandBackup  = "backup"
	commandArchive = "archive"
)

// startAdmin answers the socket until the returned function is called. A server
// that cannot have one serves without: the path may be too long for a socket.
func (h *House) startAdmin(ctx context.Context) (stop func()) {
	if !h.cfg.Store.embedded() { // what is asked here can be asked of the database, and several servers may share the directory
		return func() {}
	}
	path := h.data.file(socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a server that was killed; the store's lock is ours
		h.log.WarnContext(ctx, "no admin socket", "error", err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // as long as requests are drained
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		cancel()
		h.log.WarnContext(ctx, "no admin socket", "error", err)
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.answerAdmin(ctx, ln)
	}()
	return func() {
		cancel()
		_ = ln.Close() // which also removes the socket
		<-done
	}
}

// answerAdmin answers one at a time until the listener is closed.
func (h *House) answerAdmin(ctx context.Context, ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		var answer adminAnswer
		if err := h.admin(ctx, conn); err != nil {
			answer.Error = err.Error()
		}
		_ = json.NewEncoder(conn).Encode(answer)
		_ = conn.Close()
	}
}

// admin does what one connection asks.
func (h *House) admin(ctx context.Context, conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(headerTimeout)); err != nil {
		return err
	}
	var req adminRequest
	dec := json.NewDecoder(io.LimitReader(conn, maxAdminRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return errors.New("request not understood")
	}
	if !filepath.IsAbs(req.Path) {
		return errors.New("unknown command")
	}
	switch req.Command {
	case commandBackup:
		h.log.InfoContext(ctx, "backup", "to", req.Path)
		return h.store.Backup(ctx, req.Path)
	case commandArchive:
		st, ok := h.store.(archivable)
		if !ok || req.Before.After(time.Now().Add(-leastHot)) {
			return errors.New("unknown command")
		}
		h.log.InfoContext(ctx, "records of access are moved out of the store", "to", req.Path, "before", req.Before)
		return archive(ctx, st, req.Before, req.Path)
	default:
		return errors.New("unknown command")
	}
}

// askServer asks the server that runs on a data directory, if there is one.
func askServer(ctx context.Context, data string, req adminRequest) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(data, socketFile))
	if err != nil {
		return errNoServer
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(adminTimeout)); err != nil {
		return err
	}
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return fmt.Errorf("ask the running server: %w", err)
	}
	var answer adminAnswer
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return fmt.Errorf("the running server gave no answer: %w", err)
	}
	if answer.Error != "" {
		return fmt.Errorf("the running server: %s", answer.Error)
	}
	return nil
}
