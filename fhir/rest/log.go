package rest

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// failed keeps what the log is told of an error.
func (x *exchange) failed(err error, o outcome) {
	x.problem = o.problem.entry().detail
	if o.problem == problemInternal {
		x.fault = err
	}
}

// log writes the one event of a request: ids and kinds, no query, no name, no
// token. The path is the pattern that was matched. It goes to the handler itself:
// a Logger would look up in which line of the source this is.
func (s *Server) log(ctx context.Context, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError {
		level = slog.LevelError
	} else if x.row.beside && !x.row.admin {
		level = slog.LevelDebug // probes
	}
	if !s.cfg.Log.Enabled(ctx, level) {
		return
	}
	c := &x.request.Caller
	to := x.row.log
	if to == nil {
		to = x.row.events(s.cfg.Log, method(x.method))
	}
	var room [11]slog.Attr
	attrs := append(room[:0],
		slog.Int("status", x.status),
		slog.Duration("took", took.Round(time.Microsecond)),
		slog.String("request", x.request.ID),
	)
	if x.request.Type != "" {
		attrs = append(attrs, slog.String("type", string(x.request.Type)))
	}
	if !x.row.open {
		attrs = append(attrs, slog.String("caller", c.Kind.String()),
			slog.String("client", c.Client), slog.String("organization", c.Organization))
	}
	if x.problem != "" {
		attrs = append(attrs, slog.String("problem", x.problem))
	}
	if x.cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	if x.fault != nil {
		attrs = append(attrs, slog.String("error", x.fault.Error()))
	}
	event := slog.NewRecord(x.began.Add(took), level, "request", 0)
	event.AddAttrs(attrs...)
	_ = to.Handle(ctx, event) // there is nobody to tell
}

// events begins the events of a row with what they have in common, so that it is
// written once.
func (i *interaction) events(log *slog.Logger, method string) slog.Handler {
	return log.With(slog.String("method", method), slog.String("interaction", i.name), slog.String("route", i.path())).Handler()
}

// method keeps invented methods out of the log.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	default:
		return "other"
	}
}
