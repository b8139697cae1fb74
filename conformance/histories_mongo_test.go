package conformance

import (
	"testing"

	"vitrine/store/mongo/mongotest"
)

// twoServers are two servers on one database.
func twoServers(t *testing.T, uri, database string) (c *cast, servers []*server, flags []string) {
	t.Helper()
	flags = []string{"--store", uri, "--store-database", database, "--base-url", worldBase, "--absence-grid", "1ms"}
	c = newCast(t, flags...)
	return c, []*server{c.server, start(t, c.data, flags...)}, flags
}

// TestHistoriesOfTwoServers is TestHistories of two servers on one database: each
// is killed in turn, while the other goes on. A client stays with its server.
func TestHistoriesOfTwoServers(t *testing.T) {
	t.Parallel()
	total := figures{}
	histories, lives := number(t, "VITRINE_HISTORIES", 0), livesOfOne
	if histories == 0 {
		histories, lives = 1, 1
	}
	for n := range histories {
		c, servers, flags := twoServers(t, mongotest.Server(t), mongotest.Database(t))
		b := newBench(t, c, n)
		for life := range lives {
			dead := servers[life%2]
			work(b, servers, b.seed(life), 60, dead.kill)
			dead.serve(t, flags...)
		}
		total.crashes += lives
		b.judge(t, c.server, c.auditor, &total)
		for _, s := range servers {
			s.kill()
		}
	}
	t.Log(total.String())
}

// TestHistoriesOfElections takes the primary away from two servers, by killing,
// freezing and cutting it off and by its own will, and gives it back while
// clients go on. VITRINE_ELECTIONS says how often.
func TestHistoriesOfElections(t *testing.T) {
	rounds := number(t, "VITRINE_ELECTIONS", 0)
	if rounds == 0 {
		t.Skip("VITRINE_ELECTIONS=8 asks for it: three nodes take their time")
	}
	total := figures{}
	replicas := mongotest.ReplicaSet(t, 3)
	c, servers, flags := twoServers(t, replicas.URI(), "vitrine")
	b := newBench(t, c, 0)
	for round := range rounds {
		work(b, servers, b.seed(round), 60, func() { b.elect(t, replicas, round) })
		if round%4 == 3 { // and a server with it
			dead := servers[round/4%2]
			work(b, servers, b.seed(1000+round), 30, dead.kill)
			dead.serve(t, flags...)
			total.crashes++
		}
	}
	b.judge(t, c.server, c.auditor, &total)
	t.Logf("%d elections: %s", rounds, total.String())
}

// elect takes the primary away, and gives it back when another was found and
// written to.
func (b *bench) elect(t *testing.T, r *mongotest.Replicas, round int) {
	t.Helper()
	before := r.AwaitPrimary(t.Context())
	repair := func(int) {}
	switch round % 4 {
	case 0:
		r.Kill(before)
		repair = r.Start
	case 1:
		r.Freeze(before)
		repair = r.Thaw
	case 2:
		r.CutOff(before)
		repair = r.Rejoin
	case 3:
		r.StepDown()
	}
	r.AwaitPrimary(t.Context())
	b.await(60)
	repair(before)
	r.AwaitWhole(t.Context())
	b.await(60)
}
