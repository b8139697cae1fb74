package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// notifyEvery is how often the outbox is looked into.
	notifyEvery = time.Second
	// A receiver that is down is tried again after notifyFirst, then after twice as
	// long, up to notifyRarest; one that refuses some notices, up to notifyRefused:
	// the others do not wait for these.
	notifyFirst, notifyRefused, notifyRarest = 2 * time.Second, 15 * time.Second, 5 * time.Minute
	// notifyLate is how long a notice may wait before that is an alert, and how often
	// the alert is raised.
	notifyLate = 15 * time.Minute
)

// notifyMeters count the notices.
type notifyMeters struct {
	waiting           prometheus.Gauge
	delivered, failed prometheus.Counter
}

func newNotifyMeters() *notifyMeters {
	return &notifyMeters{
		waiting:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "vitrine_notices_waiting", Help: "Notices to patients that the last round saw and that wait on."}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{Name: "vitrine_notices_delivered_total", Help: "Notices to patients that the receiver took."}),
		failed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "vitrine_notices_failed_total", Help: "Attempts to deliver a notice that failed."}),
	}
}

// collectors are all of them.
func (m *notifyMeters) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.waiting, m.delivered, m.failed}
}

// deliverNotices sends the notices to patients for as long as the house stands.
func (h *House) deliverNotices(ctx context.Context) {
	if h.webhook == nil {
		<-ctx.Done()
		return
	}
	var pause time.Duration
	var next, alerted time.Time
	each(ctx, notifyEvery, func(now time.Time) {
		if now.Before(next) {
			return
		}
		out, err := h.gate.DeliverNotices(ctx, time.Now, h.webhook.send)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.log.ErrorContext(ctx, "notices to patients could not be looked at; it is tried again", "error", err)
		}
		h.notices.delivered.Add(float64(out.Delivered))
		h.notices.failed.Add(float64(out.Failed))
		if !out.Held {
			h.notices.waiting.Set(float64(out.Waiting))
		}
		if err == nil && out.Failed == 0 {
			pause = 0
			return
		}
		pause = notifyPause(pause, err != nil || out.Down)
		next = now.Add(pause)
		if !out.Oldest.IsZero() && now.Sub(out.Oldest) > notifyLate && now.Sub(alerted) > notifyLate {
			alerted = now
			h.log.ErrorContext(ctx, "notices to patients are not delivered", "alert", "notices-undelivered", "waiting", out.Waiting, "since", out.Oldest)
		}
	})
}

// notifyPause is how long to wait after a round that did not deliver everything, and
// waited so long before it.
func notifyPause(last time.Duration, down bool) time.Duration {
	most := notifyRefused
	if down {
		most = notifyRarest
	}
	return min(max(2*last, notifyFirst), most)
}
