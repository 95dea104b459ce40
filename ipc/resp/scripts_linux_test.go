package resp_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// knownTexts takes the texts of the scripts from the source.
func knownTexts(t *testing.T) (all []string) {
	t.Helper()
	source, err := os.ReadFile("scripttexts.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)`([^`]*)`").FindAllSubmatch(source, -1) {
		all = append(all, string(m[1]))
	}
	if len(all) < 10 {
		t.Fatalf("%d scripts", len(all))
	}
	return all
}

// TestKnownScriptsDoWhatRedisDoes runs each script, as its library sends it, in
// every state of the key that it can meet, here and in Redis.
func TestKnownScriptsDoWhatRedisDoes(t *testing.T) {
	b := newBoth(t, "3")
	for _, text := range knownTexts(t) {
		for _, state := range [][]string{
			nil,
			{"set", "lock", "me"},
			{"set", "lock", "me", "px", "500000"},
			{"set", "lock", "you", "px", "500000"},
			{"set", "lock", ""},
		} {
			for _, last := range []string{"0", "1"} {
				b.same("del", "lock")
				if state != nil {
					b.same(state...)
				}
				b.same("eval", text, "1", "lock", "me", "600000", last)
				b.same("get", "lock")
				b.same("pttl", "lock")
				sum := sha1.Sum([]byte(text))
				b.same("evalsha", hex.EncodeToString(sum[:]), "1", "lock", "me", "700000", last)
				b.same("script", "exists", strings.ToUpper(hex.EncodeToString(sum[:])), "0000000000000000000000000000000000000000")
				b.same("get", "lock")
				b.same("pttl", "lock")
			}
		}
	}
}

func TestOtherSpellingsOfAScriptAreKnown(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	for _, text := range []string{
		"if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) else return 0 end",
		"-- unlock\nif redis.call(\"get\", KEYS[1]) == ARGV[1] then\n\treturn redis.call(\"del\", KEYS[1])\nelse\n\treturn 0;\nend\n-- end",
	} {
		w.do("set", "lock", "me")
		if got := w.do("eval", text, "1", "lock", "you"); got != ":0\r\n" {
			t.Errorf("%q: %q", text, got)
		}
		if got := w.do("eval", text, "1", "lock", "me"); got != ":1\r\n" {
			t.Errorf("%q: %q", text, got)
		}
		sha := w.do("script", "load", text)
		if got := w.do("evalsha", strings.Split(sha, "\r\n")[1], "1", "lock", "me"); got != ":0\r\n" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestOtherScriptsAreRefused(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	release := "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"
	for _, text := range []string{
		"return 1", "", release + " return 1", "--[[ " + release, "x" + release,
		strings.Replace(release, "ARGV[1]", "ARGV[2]", 1), strings.Replace(release, "'get'", "'GET '", 1),
		strings.Replace(release, "KEYS", "keys", 1), "\"" + release, strings.Repeat(" ", 5000) + release,
	} {
		if got := w.do("eval", text, "1", "k", "a"); !strings.HasPrefix(got, "-ERR this store runs no Lua") {
			t.Errorf("%.200q: %q", text, got)
		}
		if got := w.do("script", "load", text); !strings.HasPrefix(got, "-ERR this store runs no Lua") {
			t.Errorf("%.200q: %q", text, got)
		}
	}
	for _, args := range [][]string{{"0"}, {"2", "a", "b", "c"}, {"1", "a"}} {
		if got := w.do(append([]string{"eval", release}, args...)...); !strings.HasPrefix(got, "-ERR this script is known for one key") {
			t.Errorf("%q: %q", args, got)
		}
	}
	// Spellings are kept up to a bound, and run beyond it.
	for i := range 1000 {
		if got := w.do("eval", fmt.Sprintf("-- %d\n%s", i, release), "1", "k", "a"); got != ":0\r\n" {
			t.Fatal(i, got)
		}
	}
	if got := w.do("script", "flush"); got != "+OK\r\n" {
		t.Error(got)
	}
	if got := w.do("evalsha", strings.Repeat("0", 40), "0"); got != "-NOSCRIPT No matching script. Please use EVAL.\r\n" {
		t.Error(got)
	}
}
