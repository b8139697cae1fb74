package rest

import (
	"syscall"
	"time"
)

// nap sleeps for less than timers can, or until the thread is interrupted.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil)
}
