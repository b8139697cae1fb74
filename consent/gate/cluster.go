package gate

import (
	"cmp"
	"context"
	"slices"

	"vitrine/consent/audit"
)

// A public cluster stands for its parts in what patients are told (DOSSIER §3.5).
// Which it is of an access is recorded with it: the patient's edition of the event
// names it, whatever the directory says later.

// clusterIn is the nearest public cluster that the first of a lineage is part of;
// empty for none, and where that is the first itself.
func (g *Gate) clusterIn(line []string) string {
	if len(g.cfg.Clusters) == 0 {
		return ""
	}
	for i, id := range line {
		if !slices.Contains(g.cfg.Clusters, id) {
			continue
		}
		if i == 0 {
			return ""
		}
		return id
	}
	return ""
}

// clusterOf is the same of an organisation, as the directory has it.
func (v *view) clusterOf(ctx context.Context, organization string) (string, error) {
	if len(v.g.cfg.Clusters) == 0 {
		return "", nil
	}
	line, err := v.lineage(ctx, organization)
	return v.g.clusterIn(line.ids), err
}

// shownAs is the organisation that patients are told of: the public cluster that
// somebody's organisation is part of, or the organisation itself.
func (v *view) shownAs(ctx context.Context, organization string) (string, error) {
	cluster, err := v.clusterOf(ctx, organization)
	return cmp.Or(cluster, organization), err
}

// withCluster puts into an event that is made outside of any visit which cluster its
// patient is told of.
func (g *Gate) withCluster(ctx context.Context, e *audit.Event) error {
	if len(g.cfg.Clusters) == 0 || e.Patient == "" || e.Agent.Organization == "" {
		return nil
	}
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	v := visit{view: view{g: g, reader: snap, snap: snap, now: e.Recorded}}
	defer v.close()
	e.Agent.Cluster, err = v.clusterOf(ctx, e.Agent.Organization)
	return err
}

// wanted are the accesses that a page tells of, among those that were found.
type wanted struct {
	emergency bool
	// cluster is the public cluster that was asked for, by its name or that of a part;
	// empty where the question was for something else.
	cluster string
}

// wants is what a page leaves. Within a public cluster the question for a part is
// that for the whole: what is told does not say which it was, nor may what is found.
func (v *view) wants(ctx context.Context, page *AccessPage) (wanted, error) {
	told, err := v.shownAs(ctx, page.Organization)
	if !slices.Contains(v.g.cfg.Clusters, told) {
		told = ""
	}
	return wanted{emergency: page.Emergency, cluster: told}, err
}
