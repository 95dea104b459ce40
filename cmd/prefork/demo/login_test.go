package demo_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"prefork/cmd/prefork/demo"
)

func TestLoginInAGlobalIsKnownToOneWorkerAndInIPCToAll(t *testing.T) {
	store := newFakeStore()
	v := newVisitor(t)
	workers := []*demo.Site{workerOf(store, 0), workerOf(store, 1), workerOf(store, 2)}
	var me identity
	v.ask(workers[1], "POST", "/api/login", `{"name":"  Ada "}`, &me)
	for slot, w := range workers {
		var me identity
		v.ask(w, "GET", "/api/me", "", &me)
		if me.IPC == nil || me.IPC.Name != "Ada" {
			t.Errorf("worker %d does not find the login in the store: %+v", slot, me)
		}
		if (me.Global != nil) != (slot == 1) {
			t.Errorf("worker %d: login in its global: %v", slot, me.Global)
		}
	}
	v.ask(workers[2], "POST", "/api/logout", "{}", &me)
	if left := store.keys("demo/login/"); len(left) != 0 {
		t.Errorf("left in the store after logout: %q", left)
	}
	if len(v.cookies) != 0 {
		t.Errorf("cookies after logout: %v", v.cookies)
	}
}

func TestLoginNeverTakesOverATokenAndRotatesIt(t *testing.T) {
	store := newFakeStore()
	w := workerOf(store, 0)
	v := newVisitor(t)
	planted := strings.Repeat("A", 43)
	v.cookies["prefork_demo_ipc"], v.cookies["prefork_demo_global"] = planted, planted
	var me identity
	v.ask(w, "POST", "/api/login", `{"name":"Ada"}`, &me)
	first := maps.Clone(v.cookies)
	v.ask(w, "POST", "/api/login", `{"name":"Ada"}`, &me)
	for name, token := range v.cookies {
		if first[name] == planted {
			t.Errorf("%s: planted token was taken over", name)
		}
		if token == first[name] {
			t.Errorf("%s: same token after a second login", name)
		}
		if len(token) != 43 {
			t.Errorf("%s: token of %d characters, want 43 (256 bits)", name, len(token))
		}
	}
	if keys := store.keys("demo/login/"); len(keys) != 1 {
		t.Errorf("logins in the store after two logins of one browser: %d, want 1", len(keys))
	}
	old := newVisitor(t)
	old.cookies = first
	me = identity{}
	old.ask(w, "GET", "/api/me", "", &me)
	if me.IPC != nil || me.Global != nil {
		t.Errorf("the first token still works after the second login: %+v", me)
	}
}

func TestStoreHoldsNoTokenAndAnEndForEachLogin(t *testing.T) {
	store := newFakeStore()
	v := newVisitor(t)
	answer := v.send(workerOf(store, 0), "POST", "/api/login", `{"name":"Ada"}`)
	for _, c := range answer.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != 1800 {
			t.Errorf("cookie %v", c)
		}
	}
	for _, key := range store.keys("demo/login/") {
		if strings.Contains(key+string(store.values[key]), v.cookies["prefork_demo_ipc"]) {
			t.Errorf("the token stands in the store, under %q", key)
		}
		if store.ttls[key] != 30*time.Minute {
			t.Errorf("ttl %v", store.ttls[key])
		}
	}
}

func TestLoginRefusesBadInput(t *testing.T) {
	w := workerOf(newFakeStore(), 0)
	for _, c := range []struct{ body, want string }{
		{`{"name":""}`, "name is empty"},
		{`{"name":"   "}`, "name is empty"},
		{`{"name":"` + strings.Repeat("ä", 41) + `"}`, "name of 41 characters (max 40)"},
		{`{"name":"a\u0000b"}`, "name has a control character"},
		{`{"name":"Ada","admin":true}`, `decode request: json: unknown field "admin"`},
		{`{"name":"Ada"} {}`, "decode request: more than one value"},
		{`{"name":`, "decode request: unexpected EOF"},
		{`{"name":"` + strings.Repeat("x", 2000) + `"}`, "decode request: http: request body too large"},
	} {
		v := newVisitor(t)
		answer := v.send(w, "POST", "/api/login", c.body)
		var got struct{ Error string }
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusBadRequest || got.Error != c.want {
			t.Errorf("%.40s: %d %q, want 400 %q", c.body, answer.StatusCode, got.Error, c.want)
		}
		if len(v.cookies) != 0 {
			t.Errorf("%.40s: cookies %v", c.body, v.cookies)
		}
	}
	v := newVisitor(t)
	v.header.Set("Content-Type", "text/plain")
	if answer := v.send(w, "POST", "/api/login", `{"name":"Ada"}`); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("text/plain: %s", answer.Status)
	}
}

func TestNameIsEscapedInTheAnswer(t *testing.T) {
	v := newVisitor(t)
	answer := v.send(workerOf(newFakeStore(), 0), "POST", "/api/login", `{"name":"<script>alert(1)</script>&"}`)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(text), "<>&") {
		t.Errorf("not escaped: %s", text)
	}
	if kind := answer.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("content type %q", kind)
	}
}

func TestLoginThatTheStoreRefusesSetsNoCookie(t *testing.T) {
	store := newFakeStore()
	store.err = errors.New("set: full")
	v := newVisitor(t)
	answer := v.send(workerOf(store, 0), "POST", "/api/login", `{"name":"Ada"}`)
	if answer.StatusCode != http.StatusServiceUnavailable || len(v.cookies) != 0 {
		t.Errorf("%s, cookies %v", answer.Status, v.cookies)
	}
}

func TestGlobalsAreBoundedAndForgetWhatHasExpired(t *testing.T) {
	var g demo.Globals
	key := func(i int) string { return "k" + string(rune(0x4e00+i)) }
	for i := range 4096 {
		if err := g.Set(key(i), nil, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Set("one more", nil, time.Hour); err == nil {
		t.Error("entry 4097 was taken")
	}
	if err := g.Set(key(7), []byte("new"), -1); err != nil {
		t.Errorf("an entry that is there cannot be changed: %v", err)
	}
	if _, found, _ := g.Get(key(7)); found {
		t.Error("an expired entry is found")
	}
	if err := g.Set("one more", nil, time.Hour); err != nil {
		t.Errorf("expired entries are not given up: %v", err)
	}
}
