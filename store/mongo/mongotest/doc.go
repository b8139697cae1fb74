// Package mongotest owns the ground that tests of the MongoDB store stand on:
// genuine servers, alone, as a replica set of one or as one that holds
// elections, and a proxy that breaks connections at a chosen moment. It knows
// nothing of the store, which is store/mongo's, and promises nothing of its own.
//
// There is no stand-in for MongoDB here. Server takes the one that
// VITRINE_TEST_MONGODB names, or else starts the mongod it finds on PATH, once
// for all tests of a process. Where there is neither, the test is reported as
// not run: see NotRun.
//
// A package whose tests use it ends its servers in its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(mongotest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		uri, name := mongotest.Server(t), mongotest.Database(t)
//		…
//	}
//
// Nothing waits by sleeping. What a server of ours is doing is read from its log
// while it writes it, and the proxy acts on the message a test names:
//
//	proxy := mongotest.Through(t, mongotest.Server(t))
//	trap := proxy.Arm(mongotest.Fault{
//		Match: mongotest.Command("commitTransaction"),
//		When:  mongotest.Answered, // it was done, and nobody is told
//		Do:    mongotest.Cut,
//	})
//	… write through proxy.URI() …
//	<-trap.Sprung()
package mongotest
