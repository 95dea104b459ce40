package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"prefork/ipc/store"
)

// Features says what a store cannot do, or does at another pace. The zero
// value asks for everything.
type Features struct {
	// ValueVersions: the version is made from the value, so that two entries
	// with equal values have equal versions.
	ValueVersions bool

	// EpochDelay is how long a Bump may take to be seen by another view.
	EpochDelay time.Duration

	// SameProcess: the stores that open gives for one test are views of one
	// store. Otherwise each has data of its own and what needs two is left
	// out.
	SameProcess bool

	// ServerCounters: Stats counts what a whole server does, so that figures
	// grow by more than this test did.
	ServerCounters bool
}

// patience is how long the suite waits for what must come.
const patience = 20 * time.Second

// suite is one test's store.
type suite struct {
	*testing.T
	store.Store
	open func(t *testing.T) store.Store
	f    Features
}

// Run checks a store against every sentence of the comments of store.Store.
// open gives a view of an empty store, or, called again in one test with
// SameProcess, another view of it; it sees to closing them.
func Run(t *testing.T, open func(t *testing.T) store.Store, f Features) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"SetThenGetGivesACopy", setThenGet},
		{"AbsentKeyIsNotFound", absent},
		{"AnyBytesAreKeyAndValue", anyBytes},
		{"BoundsAreExact", bounds},
		{"VersionChangesWithEveryWrite", versions},
		{"ConditionsDecideWhetherSetWrites", conditions},
		{"ConflictLeavesTheEntry", conflictLeaves},
		{"ExpiryEndsAnEntry", expiry},
		{"KeepTTLKeepsWhatIsThere", keepTTL},
		{"NegativeTTLDeletes", negativeTTL},
		{"SetWithoutTTLNeverExpires", setDropsTTL},
		{"HugeTTLIsNotNegative", hugeTTL},
		{"TinyTTLStillExpires", tinyTTL},
		{"TouchChangesTheExpiryAlone", touch},
		{"DeleteLooksAtTheVersion", deletes},
		{"AddCounts", add},
		{"AddKeepsTheExpiry", addExpiry},
		{"AddRefusesWhatIsNoNumber", addNotNumber},
		{"AddRefusesToLeaveTheRange", addRange},
		{"ScanGivesEveryKeyThatStays", scan},
		{"StatsCount", stats},
		{"EndedContextIsRefused", endedContext},
		{"ClosedStoreIsRefused", closed},
		{"LockHasOneHolder", lockOne},
		{"LockWaitsUntilTheContextEnds", lockContext},
		{"LockIsTakenWhenItIsGivenBack", lockHandOver},
		{"LockEndsAfterItsTTL", lockTTL},
		{"RenewProlongsALock", lockRenew},
		{"TokensOfANameGrow", tokensGrow},
		{"NamesAreNotKeys", namesAreNotKeys},
		{"SetAsksForTheToken", fencing},
		{"SetAsksForTheTokenOfAPlace", fencingPlace},
		{"SemaphoreHasSoManyPlaces", places},
		{"PlaceEndsAfterItsTTL", placeTTL},
		{"PlacesAreWithinTheirBounds", placesBounds},
		{"CloseReleasesLocks", closeReleases},
		{"EpochIsSeenByAll", epochs},
		{"NoAddIsLost", concurrentAdd},
		{"OneOfManyCreates", concurrentCreate},
		{"OneOfManySwaps", concurrentSwap},
		{"LockExcludes", concurrentLock},
		{"SemaphoreBounds", concurrentPlaces},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{T: t, Store: open(t), open: open, f: f})
		})
	}
}

var ctx = context.Background()

// must ends the test when something that must work does not.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// wants checks an error.
func (s *suite) wants(err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Fatalf("the error is %v, want %v", err, target)
	}
}

// put writes and gives the version.
func (s *suite) put(key, value string, w store.Write) uint64 {
	s.Helper()
	version, err := s.Set(ctx, key, []byte(value), w)
	s.must(err)
	return version
}

// entry gives an entry that must be there.
func (s *suite) entry(key string) store.Entry {
	s.Helper()
	e, found, err := s.Get(ctx, key)
	s.must(err)
	if !found {
		s.Fatalf("%.40q is not there", key)
	}
	return e
}

// gone says that an entry must not be there.
func (s *suite) gone(key string) {
	s.Helper()
	if e, found, err := s.Get(ctx, key); err != nil || found {
		s.Fatalf("%.40q: %.40q, %v, %v; want nothing", key, e.Value, found, err)
	}
}

// until waits for something that must become true.
func (s *suite) until(what string, done func() bool) {
	s.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatalf("after %v not yet: %s", patience, what)
		}
	}
}

// goneSoon waits for an entry to expire.
func (s *suite) goneSoon(key string) {
	s.Helper()
	s.until(fmt.Sprintf("%q has expired", key), func() bool {
		_, found, err := s.Get(ctx, key)
		s.must(err)
		return !found
	})
}

// between checks what is left of a ttl.
func (s *suite) between(left, low, high time.Duration) {
	s.Helper()
	if left < low || left > high {
		s.Fatalf("the ttl is %v, want %v to %v", left, low, high)
	}
}
