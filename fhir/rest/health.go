package rest

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"vitrine/consent/gate"
)

// healthz says that the process serves.
func (s *Server) healthz(context.Context, *exchange) (answer, error) {
	return status(http.StatusOK, "ok"), nil
}

// readyz says whether the gate can answer and record.
func (s *Server) readyz(ctx context.Context, _ *exchange) (answer, error) {
	if err := s.gate.Ready(ctx); err != nil {
		return answer{}, err
	}
	return status(http.StatusOK, "ready"), nil
}

func status(code int, word string) answer {
	return answer{form: formStatic, status: code, media: []string{"application/json"}, text: []byte(`{"status":"` + word + `"}`)}
}

// meters count requests by interaction and class of status. No label is made of
// anything a client sends.
type meters struct {
	registry *prometheus.Registry
	rows     map[string]*meter
}

// meter is one interaction's.
type meter struct {
	classes [6]prometheus.Counter // by the first digit of the status
	took    prometheus.Observer
}

func newMeters(table []interaction, more []prometheus.Collector, g *gate.Gate) *meters {
	m := &meters{registry: prometheus.NewRegistry(), rows: make(map[string]*meter)}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vitrine_requests_total", Help: "Requests answered, by interaction and class of HTTP status.",
	}, []string{"interaction", "class"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "vitrine_request_seconds", Help: "Time to answer a request, by interaction.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
	}, []string{"interaction"})
	m.registry.MustRegister(more...)
	m.registry.MustRegister(requests, took, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, a := range gate.Alerts() {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "vitrine_alerts_total", Help: "Alerts raised for the regulator by this server.", ConstLabels: prometheus.Labels{"kind": a.String()},
		}, func() float64 { return float64(g.Alerted(a)) }))
	}
	names := []string{"unmatched", "outside", "preflight"}
	for i := range table {
		names = append(names, table[i].name)
	}
	for _, name := range names {
		one := &meter{took: took.WithLabelValues(name)}
		for class := range one.classes {
			one.classes[class] = requests.WithLabelValues(name, string(rune('0'+class))+"xx")
		}
		m.rows[name] = one
	}
	return m
}

// count files one request.
func (m *meters) count(x *exchange, took time.Duration) {
	one := m.rows[x.row.name]
	if one == nil {
		return
	}
	if class := x.status / 100; class >= 0 && class < len(one.classes) {
		one.classes[class].Inc()
	}
	one.took.Observe(took.Seconds())
}

// metrics is the state of the meters in Prometheus' text format, for the
// machine's own collector: counts and times of everybody's requests would let a
// caller far away follow what others do.
func (s *Server) metrics(_ context.Context, x *exchange) (answer, error) {
	if at, err := netip.ParseAddr(x.request.Address); err != nil || !at.Unmap().IsLoopback() {
		return answer{}, gate.ErrNotFound
	}
	families, err := s.meters.registry.Gather()
	if err != nil {
		return answer{}, err
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var text sliceWriter
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return answer{}, err
		}
	}
	return answer{form: formStatic, status: http.StatusOK, media: []string{string(format)}, text: text}, nil
}

// sliceWriter is an io.Writer into a slice.
type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
