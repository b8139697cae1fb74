package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// racersOfOne is how many clients race for one condition.
const racersOfOne = 4

// TestRacesForOneCondition has clients ask at the same moment for what must be
// made once, alone and in a transaction, in two spellings, and giving up now and
// then. There is one in the end, the one that everybody was told of.
// VITRINE_RACES asks for more races.
func TestRacesForOneCondition(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	race(t, c, []*server{c.server}, number(t, "VITRINE_RACES", 150))
}

// TestRacesForOneConditionOnTwoServers is the same of two servers on one
// database.
func TestRacesForOneConditionOnTwoServers(t *testing.T) {
	t.Parallel()
	c, servers, _ := twoServers(t, mongotest.Server(t), mongotest.Database(t))
	race(t, c, servers, number(t, "VITRINE_RACES", 20))
}

// race runs so many races, some at the same time, and looks at what there is
// after all of them.
func race(t *testing.T, c *cast, servers []*server, races int) {
	t.Helper()
	b := &bench{history: &history{began: time.Now()}, token: c.root, system: c.systemA, prefix: "h" + strconv.Itoa(number(t, "VITRINE_SEED", 1)), quarrel: 1, latest: map[string]int{}}
	b.asked.Store(int64(races))
	const lanes = 4
	var work sync.WaitGroup
	for lane := range lanes {
		work.Go(func() {
			for key := lane; key < races; key += lanes {
				b.race(servers, key)
			}
		})
	}
	work.Wait()
	if err := b.settled(c.server); err != nil {
		t.Fatal(err)
	}
	b.settle()
	findings := append(append(b.kept(), b.unique()...), b.linearizable()...)
	for _, f := range findings[:min(len(findings), 10)] {
		t.Error(f)
	}
	counts := b.counts()
	made, there := 0, 0
	for _, one := range b.calls {
		if one.made {
			made++
		}
	}
	for condition, found := range b.found {
		if there += len(found); len(found) != 1 {
			t.Errorf("%s matches %v", condition, found)
		}
	}
	t.Logf("%d races of %d: %d findings, %d made one and %d are there; %d answers told of another's, %d unknown, %d refused",
		races, racersOfOne, len(findings), made, there, counts[done]-made, counts[unknown], counts[refused])
}

// race is one race. The last client asks once more when it is over, so that
// there is one in the end whatever was given up.
func (b *bench) race(servers []*server, key int) {
	condition, token := b.conditionOf(int64(key))
	ready := make(chan struct{})
	var racers sync.WaitGroup
	for i := range racersOfOne {
		c := &tester{bench: b, s: servers[i%len(servers)], number: key*10 + i, rnd: rand.New(rand.NewPCG(uint64(key), uint64(i))), hasty: true}
		racers.Go(func() {
			<-ready
			c.enter(condition, token, i)
		})
	}
	close(ready)
	racers.Wait()
	c := &tester{bench: b, s: servers[key%len(servers)], number: key*10 + racersOfOne, rnd: rand.New(rand.NewPCG(uint64(key), racersOfOne))}
	c.enter(condition, token, 0)
}

// enter asks for what the condition finds or makes, in one of the ways that there
// are.
func (c *tester) enter(condition, token string, way int) {
	one := c.start(fmt.Sprintf("race %d for %s", way, condition))
	one.condition = condition
	_, register, _ := strings.Cut(condition, "|")
	body := content("key", "", register, one.mark, 0)
	switch way % racersOfOne {
	case 1: // the parameters of the condition the other way round
		c.enterOnce(one, token, send(http.MethodPost, "Observation", body).with("If-None-Exist", "code="+kindSystem+"|key&identifier="+condition))
	case 2:
		parts, _ := c.transactAs(one, token, entry(http.MethodPost, "Observation", `,"ifNoneExist":"identifier=`+condition+`"`, body))
		if parts != nil {
			one.matched(parts[0].Response.Location, "", strings.HasPrefix(parts[0].Response.Status, "201"))
			c.close(one)
		}
	default:
		c.enterOnce(one, token, send(http.MethodPost, "Observation", body).with("If-None-Exist", "identifier="+condition))
	}
}
