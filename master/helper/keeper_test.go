package helper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prefork/ipc/store"
)

var ctx = context.Background()

// kept is a keeper of a small store, and what it has said.
type kept struct {
	*keeper
	said []string
}

func keeping(t *testing.T, path string) *kept {
	t.Helper()
	k := &kept{}
	k.keeper = &keeper{path: path, store: store.Private(store.Config{Size: store.MinSize}), say: func(priority, format string, args ...any) {
		k.said = append(k.said, priority+fmt.Sprintf(format, args...))
	}}
	t.Cleanup(func() { _ = k.store.Close() })
	return k
}

func (k *kept) set(t *testing.T, key, value string) {
	t.Helper()
	if _, err := k.store.Set(ctx, key, []byte(value), store.Write{}); err != nil {
		t.Fatal(err)
	}
}

func (k *kept) get(t *testing.T, key string) string {
	t.Helper()
	e, _, err := k.store.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value)
}

func (k *kept) mustBegin(t *testing.T, load bool) {
	t.Helper()
	if err := k.begin(load); err != nil {
		t.Fatal(err)
	}
}

// modified is how a test sees that a file was written: a new one has taken its
// place.
func inode(t *testing.T, path string) os.FileInfo {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestWhatWasKeptIsThereInTheNextRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	k := keeping(t, path)
	k.mustBegin(t, true) // there is no file yet
	k.set(t, "a", "1")
	k.end()
	next := keeping(t, path)
	next.mustBegin(t, true)
	if got := next.get(t, "a"); got != "1" {
		t.Errorf("%q, want 1", got)
	}
	if len(next.said) != 1 || !strings.HasPrefix(next.said[0], "<6>1 entries loaded") {
		t.Errorf("said %q", next.said)
	}
}

// A helper that is started anew finds the store as it is: also when it is
// empty because all was deleted.
func TestOnlyTheFirstHelperOfARunReadsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	k := keeping(t, path)
	k.set(t, "a", "1")
	k.end()
	for name, again := range map[string]*kept{"a later one": keeping(t, path), "one that finds entries": keeping(t, path)} {
		load := name != "a later one"
		if load {
			again.set(t, "b", "2")
		}
		again.mustBegin(t, load)
		if got := again.get(t, "a"); got != "" {
			t.Errorf("%s has read the file: %q", name, got)
		}
	}
}

func TestAStoreThatNobodyUsesIsNotWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	k := keeping(t, path)
	k.mustBegin(t, true)
	first := inode(t, path)
	k.next = time.Time{}
	k.periodic()
	if !os.SameFile(first, inode(t, path)) {
		t.Error("written, and nothing had changed")
	}
	k.set(t, "a", "1")
	k.next = time.Now().Add(time.Hour)
	k.periodic()
	if !os.SameFile(first, inode(t, path)) {
		t.Error("written before its time")
	}
	k.next = time.Time{}
	k.periodic()
	second := inode(t, path)
	if os.SameFile(first, second) {
		t.Error("not written, and something had changed")
	}
	if wait := time.Until(k.next); wait < saveEvery-time.Second {
		t.Errorf("the next one may come in %v", wait)
	}
	k.get(t, "a") // may have come with an expiry that was moved
	k.next = time.Time{}
	k.periodic()
	if os.SameFile(second, inode(t, path)) {
		t.Error("not written, and an entry was used")
	}
}

func TestADamagedFileIsSetAsideUnderTheFirstFreeNumber(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	for _, name := range []string{"s.damaged-1", "s.damaged-3"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("older"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"2", "4"} {
		if err := os.WriteFile(path, []byte("no snapshot "+n), 0o600); err != nil {
			t.Fatal(err)
		}
		k := keeping(t, path)
		k.mustBegin(t, true)
		aside := path + ".damaged-" + n
		if text, err := os.ReadFile(aside); err != nil || string(text) != "no snapshot "+n {
			t.Errorf("%s: %q, %v", aside, text, err)
		}
		if len(k.said) != 1 || !strings.HasPrefix(k.said[0], warning) || !strings.Contains(k.said[0], aside) {
			t.Errorf("said %q", k.said)
		}
		k.end()
	}
	if text, err := os.ReadFile(path + ".damaged-1"); err != nil || string(text) != "older" {
		t.Errorf("an older one was overwritten: %q, %v", text, err)
	}
}

// To begin with half of the entries, and to write that over all of them, would
// lose what somebody wanted to keep.
func TestAStoreThatIsSmallerThanItsFileDoesNotBegin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	k := keeping(t, path)
	k.store = store.Private(store.Config{Size: 4 << 20})
	for i := range 3000 {
		k.set(t, fmt.Sprint("key", i), strings.Repeat("x", 500))
	}
	k.end()
	small := keeping(t, path)
	small.store = store.Private(store.Config{Size: store.MinSize, Full: store.RefuseFull})
	before := inode(t, path)
	if err := small.begin(true); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want an error that names the file", err)
	}
	if !os.SameFile(before, inode(t, path)) {
		t.Error("the file was written")
	}
}

func TestAFileThatCannotBeWrittenIsSaidAtTheBeginAndOnceLater(t *testing.T) {
	dir := t.TempDir()
	k := keeping(t, filepath.Join(dir, "nowhere", "s"))
	if err := k.begin(true); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("%v, want an error", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "nowhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	k.mustBegin(t, true)
	if err := os.RemoveAll(filepath.Join(dir, "nowhere")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		k.set(t, "a", fmt.Sprint(i))
		k.save()
	}
	if len(k.said) != 1 || !strings.HasPrefix(k.said[0], warning+"the store's file is not up to date: ") {
		t.Errorf("said %q, want one warning", k.said)
	}
	if err := os.Mkdir(filepath.Join(dir, "nowhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	k.save()
	if len(k.said) != 2 || k.said[1] != info+"the store's file is written again" {
		t.Errorf("said %q", k.said)
	}
}

// The next master may have the file by the time that the last client leaves.
func TestWithoutAMasterTheFileIsWrittenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	k := keeping(t, path)
	k.mustBegin(t, true)
	k.set(t, "a", "1")
	k.orphaned()
	after := inode(t, path)
	k.set(t, "a", "2")
	k.end()
	if !os.SameFile(after, inode(t, path)) {
		t.Error("written again")
	}
	none := keeping(t, "")
	none.set(t, "a", "1")
	none.periodic()
	none.orphaned()
	none.end()
	if len(none.said) != 0 {
		t.Errorf("without a file: %q", none.said)
	}
}
