package demo_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLogin sends any body and any cookie: the answer is a login or a refusal,
// always JSON, never with a character that means something in HTML.
func FuzzLogin(f *testing.F) {
	f.Add(`{"name":"Ada"}`, strings.Repeat("A", 43))
	f.Add(`{"name":"\ud800"}`, "")
	f.Add(`{"name":"<b>&"} `, "a; prefork_demo_ipc=b")
	f.Add(`[[[[[[[[`, "\x00")
	f.Add(`{"NAME":"x","name":"`+"\u202e"+`"}`, strings.Repeat("/", 43))
	f.Fuzz(func(t *testing.T, body, cookie string) {
		store := newFakeStore()
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080/api/login", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Cookie", "prefork_demo_ipc="+cookie+"; prefork_demo_global="+cookie)
		rec := httptest.NewRecorder()
		workerOf(store, 0).ServeHTTP(rec, r)
		text, err := io.ReadAll(rec.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			IPC *struct{ Name string }
		}
		if err := json.Unmarshal(text, &got); err != nil || strings.ContainsAny(string(text), "<>&") {
			t.Fatalf("answer %q: %v", text, err)
		}
		switch rec.Code {
		case http.StatusOK:
			if got.IPC == nil || got.IPC.Name == "" || utf8.RuneCountInString(got.IPC.Name) > 40 || len(store.keys("demo/login/")) != 1 {
				t.Fatalf("login %q", text)
			}
		case http.StatusBadRequest:
			if len(rec.Result().Cookies()) != 0 || len(store.keys("demo/login/")) != 0 {
				t.Fatalf("refused, and kept something: %q", text)
			}
		default:
			t.Fatalf("status %d: %s", rec.Code, text)
		}
	})
}
