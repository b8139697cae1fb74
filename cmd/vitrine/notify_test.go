package main

import (
	"testing"
	"time"
)

// TestNotifyPause: a receiver that is down is asked more and more rarely; one that
// refuses some notices, though it be for ever, holds up the others for seconds.
func TestNotifyPause(t *testing.T) {
	for _, c := range []struct {
		name string
		down bool
		most time.Duration
	}{
		{"some are refused", false, 15 * time.Second},
		{"down", true, 5 * time.Minute},
	} {
		pause := notifyPause(0, c.down)
		if pause != 2*time.Second {
			t.Errorf("%s: at first %v", c.name, pause)
		}
		if second := notifyPause(pause, c.down); second != 4*time.Second {
			t.Errorf("%s: then %v", c.name, second)
		}
		for range 20 {
			pause = notifyPause(pause, c.down)
		}
		if pause != c.most {
			t.Errorf("%s: at last %v, want %v", c.name, pause, c.most)
		}
	}
	if pause := notifyPause(5*time.Minute, false); pause != 15*time.Second {
		t.Errorf("up again, and some are refused: %v", pause)
	}
}
