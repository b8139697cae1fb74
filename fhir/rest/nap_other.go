//go:build !linux

package rest

import "time"

// nap sleeps as well as the timers of the language can.
func nap(d time.Duration) { <-time.After(d) }
