package master_test

import (
	"strings"
	"testing"

	"prefork/ipc/store"
	"prefork/master"
)

func TestStoreIsASizeOrAURLOrNone(t *testing.T) {
	for text, want := range map[string]struct {
		kind master.StoreKind
		says string
	}{
		"64MiB":                       {master.StoreMemory, "64MiB"},
		"1G?full=refuse":              {master.StoreMemory, "1GiB?full=refuse"},
		"none":                        {master.StoreNone, "none"},
		"redis://cache:6379/0":        {master.StoreBackend, "redis://cache:6379/0"},
		"redis://:secret@cache":       {master.StoreBackend, "redis://:***@cache"},
		"rediss://shop:a/b@c:d@cache": {master.StoreBackend, "rediss://shop:***@cache"},
		"redis://token@cache":         {master.StoreBackend, "redis://***@cache"},
		"redis+cluster://a:1,b:2,c:3": {master.StoreBackend, "redis+cluster://a:1,b:2,c:3"},
		"redis://h?sentinel_password=x&db=2&AUTH=y": {master.StoreBackend, "redis://h?sentinel_password=***&db=2&AUTH=***"},
		"unix:///run/redis.sock":                    {master.StoreBackend, "unix:///run/redis.sock"},
		"unix:///run/a@b?db=3":                      {master.StoreBackend, "unix:///run/a@b?db=3"},
		"unix://app:secret@/run/redis.sock":         {master.StoreBackend, "unix://app:***@/run/redis.sock"},
	} {
		s, err := master.ParseStore(text)
		if err != nil || s.Kind != want.kind || s.String() != want.says {
			t.Errorf("%s: kind %v, %q, %v", text, s.Kind, s, err)
		}
		if s.Kind == master.StoreBackend && s.URL != text {
			t.Errorf("%s: workers would be given %q", text, s.URL)
		}
	}
	if s := (master.Store{}); s.String() != (store.Config{}).String() || s.String() != "64MiB" {
		t.Errorf("the zero value is %q", s)
	}
}

func TestAStoreOnAUnixSocketNamesItsPath(t *testing.T) {
	for text, want := range map[string]string{
		"unix:/run/redis.sock":               `is no URL: want unix:///path/to/socket for a Redis server on a Unix socket`,
		"/run/redis.sock":                    `is no URL: want unix:///path/to/socket for a Redis server on a Unix socket`,
		"unix://run/redis.sock":              `"unix://run/redis.sock" names no path: want unix:///path/to/socket, with three slashes`,
		"unix://app:secret@run/redis.sock":   `"unix://app:***@run/redis.sock" names no path: want unix:///path/to/socket, with three slashes`,
		"unix://app:s/cr@et@/run/redis.sock": `"unix://app:***@/run/redis.sock" names no path: want unix:///path/to/socket, with three slashes`,
		"unix:///":                           `"unix:///" names no path: want unix:///path/to/socket, with three slashes`,
		"unix://?db=/":                       `"unix://?db=/" names no path: want unix:///path/to/socket, with three slashes`,
		"unix://redis.sock":                  `"unix://redis.sock" names no path: want unix:///path/to/socket, with three slashes`,
	} {
		if s, err := master.ParseStore(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v\nwant %s", text, s, err, want)
		}
	}
}

func FuzzParseStore(f *testing.F) {
	for _, seed := range []string{"64MiB", "none", "redis://u:%s@h/0", "redis://h?password=%s", "a://b@c@d:e?f=g&h", "://", "1e400", "NaN", "\x00://", "64MiB?full=refuse&full=evict"} {
		f.Add(seed, "hunter2hunter2")
	}
	f.Fuzz(func(t *testing.T, text, secret string) {
		if s, err := master.ParseStore(text); err == nil {
			again, err := master.ParseStore(s.String())
			if err != nil || again.String() != s.String() || again.Kind != s.Kind {
				t.Fatalf("%q shows as %q, which reads as %q, %v", text, s, again, err)
			}
		}
		if len(secret) < 8 || strings.Contains(secret, redactedMark) || strings.Contains(redactedMark, secret) {
			return
		}
		url := "redis://shop:" + secret + "@cache.example:6379/0?db=2"
		if strings.Contains("redis://shop:@cache.example:6379/0?db=2", secret) {
			return
		}
		s, err := master.ParseStore(url)
		if shown := s.String(); err == nil && strings.Contains(shown, secret) || err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("%q shows as %q, %v", url, shown, err)
		}
	})
}

const redactedMark = "***"

func TestAReloadCannotChangeTheStore(t *testing.T) {
	parse := func(text string) master.Store {
		s, err := master.ParseStore(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct{ old, next, want string }{
		{"64MiB", "64MiB", ""},
		{"64MiB", "65536KiB", ""},
		{"64MiB", "128MiB", `/etc/app.toml:2: store: a reload cannot change it from "64MiB" to "128MiB": that needs a restart`},
		{"64MiB", "64MiB?full=refuse", `/etc/app.toml:2: store: a reload cannot change it from "64MiB" to "64MiB?full=refuse": that needs a restart`},
		{"64MiB", "none", `/etc/app.toml:2: store: a reload cannot change it from "64MiB" to "none": that needs a restart`},
		{"redis://:a@h", "redis://:b@h", `/etc/app.toml:2: store: a reload cannot change the password in "redis://:***@h": that needs a restart`},
		{"redis://:a@h", "redis://:b@g", `/etc/app.toml:2: store: a reload cannot change it from "redis://:***@h" to "redis://:***@g": that needs a restart`},
	} {
		running, next := sound(), sound()
		running.Store, next.Store = parse(c.old), parse(c.next)
		next.Where = map[string]string{"store": "/etc/app.toml:2"}
		got := ""
		if err := running.Unchangeable(next); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s to %s:\n%s\nwant:\n%s", c.old, c.next, got, c.want)
		}
	}
}

func TestAStoreFileNeedsAStoreInMemory(t *testing.T) {
	c := sound()
	c.StoreFile, c.Store = "/var/lib/shop.store", master.Store{Kind: master.StoreBackend, URL: "redis://:secret@h"}
	c.Where = map[string]string{"store": "--store", "store_file": "app.toml:4"}
	want := `app.toml:4: store_file: /var/lib/shop.store is of no use with store redis://:***@h (--store): want a store in memory, or no file`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
