package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// row is a worker as the page shows it.
type row struct{ Slot, PID, Answers, Global int }

const rowsJS = `[...document.querySelectorAll(".worker")].map(r => ({
	Slot: Number(r.dataset.slot), PID: Number(r.dataset.pid), Answers: Number(r.dataset.answers),
	Global: Number(r.querySelector(".memory code").textContent.replace(/\D/g, ""))}))`

func number(t *testing.T, b *tab, id string) int {
	t.Helper()
	text := js[string](t, b, `document.getElementById("`+id+`").textContent.replace(/\D/g, "")`)
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("#%s shows %q", id, text)
	}
	return n
}

// TestDemoInChromium is one visit from the first look to the end: the parts
// build on each other, as they do for a visitor.
func TestDemoInChromium(t *testing.T) {
	// The tab is closed before the pool stops: the browser keeps connections,
	// and each worker would linger for them.
	p := startPool(t, build(t))
	b := openTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(p.url))
	b.until(t, `document.querySelectorAll(".worker").length === 4`)

	visit := []struct {
		name string
		part func(*testing.T, *tab, *pool)
	}{
		{"FortyClicksReachEveryWorker", fortyClicks},
		{"KeyboardAloneSendsARequest", keyboard},
		{"LoginInAGlobalFailsAndTheSharedOneNever", login},
		{"TwentyKillsOfTheWorkerThatServesLoseNoSharedLogin", killServing},
		{"NothingIsWrongForAssistiveTechnology", accessible},
		{"PageFitsAPhone", phone},
		{"ReloadUnderLoadLosesNoRequest", reload},
		{"KilledWorkerComesBackAndTheLoginStays", kill},
		{"ScaleAddsAndRemovesRows", scale},
		{"LogoutForgets", logout},
	}
	for _, v := range visit {
		if !t.Run(v.name, func(t *testing.T) { v.part(t, b, p) }) {
			break // what follows builds on it
		}
	}
	for _, text := range b.logged() {
		t.Errorf("the page logged: %s", text)
	}
}

func fortyClicks(t *testing.T, b *tab, _ *pool) {
	for i := range 40 {
		b.click(t, `[data-send="1"]`)
		b.until(t, `document.getElementById("answered").textContent === "%d"`, i+1)
	}
	answers, globals := 0, 0
	rows := js[[]row](t, b, rowsJS)
	for _, r := range rows {
		if r.Answers == 0 {
			t.Errorf("worker %d answered none of 40 clicks", r.Slot)
		}
		answers += r.Answers
		globals += r.Global
	}
	shared, failed := number(t, b, "shared"), number(t, b, "failed")
	if answers != 40 || globals != 40 || shared != 40 || failed != 0 {
		t.Errorf("40 clicks: bars add up to %d, globals to %d, ipc says %d, %d failed", answers, globals, shared, failed)
	}
	t.Logf("40 clicks over 4 workers: %+v, ipc %d", rows, shared)
}

func keyboard(t *testing.T, b *tab, _ *pool) {
	before := number(t, b, "answered")
	b.do(t, chromedp.KeyEvent(kb.Enter)) // the button that was clicked last has the focus
	b.until(t, `Number(document.getElementById("answered").textContent) === %d`, before+1)
	b.do(t, chromedp.KeyEvent(kb.Tab))
	focus := js[string](t, b, `document.activeElement.matches(":focus-visible") ? document.activeElement.textContent : "nothing visible"`)
	if focus != "Send 40" {
		t.Errorf("Tab after Send 1 puts the focus on %s", focus)
	}
	t.Log("Enter sent one request, Tab went on to the next button, visibly")
}

// asked waits for ten answers and gives how many of them each side lost.
func asked(t *testing.T, b *tab) (global, ipc int) {
	t.Helper()
	b.until(t, `!document.getElementById("ask").disabled && !document.getElementById("ask").hidden`)
	lost := js[[]int](t, b, `["global", "ipc"].map(s => Number(document.getElementById("side-" + s).dataset.lost))`)
	if n := js[int](t, b, `Number(document.getElementById("side-ipc").dataset.asked)`); n != 10 {
		t.Fatalf("%d of 10 questions were answered", n)
	}
	return lost[0], lost[1]
}

// trickyName shows whether the page takes text for markup.
const trickyName = `<b>Ada</b> & "co"`

func login(t *testing.T, b *tab, _ *pool) {
	b.do(t, chromedp.SetValue("#name", trickyName))
	b.click(t, "#login-button")
	const rounds = 5
	for i := range rounds {
		if i > 0 {
			b.click(t, "#ask")
		}
		global, ipc := asked(t, b)
		if global == 0 {
			t.Errorf("round %d: the login in a global was known in all 10 requests", i)
		}
		if ipc != 0 {
			t.Errorf("round %d: the login over ipc was lost in %d of 10 requests", i, ipc)
		}
		t.Logf("10 requests: the login in a global failed in %d, the one over ipc in %d", global, ipc)
	}
	if name := js[string](t, b, `document.querySelector("#login-state bdi").textContent`); name != trickyName {
		t.Errorf("the page shows the name as %q", name)
	}
	if cookies := js[string](t, b, `document.cookie`); cookies != "" {
		t.Errorf("scripts can read the cookies: %q", cookies)
	}
}

// killServing presses the button that kills the worker that answers.
func killServing(t *testing.T, b *tab, _ *pool) {
	const kills = 20
	before := map[int]bool{}
	for _, r := range js[[]row](t, b, rowsJS) {
		before[r.PID] = true
	}
	b.click(t, "#kill")
	victims := map[int]bool{}
	for i := range kills {
		b.until(t, `document.getElementById("killing").dataset.kills === "%d" && !document.getElementById("kill").hasAttribute("aria-disabled")`, i+1)
		d := js[struct{ Victim, Heir string }](t, b, `({Victim: document.getElementById("killing").dataset.victim, Heir: document.getElementById("killing").dataset.heir})`)
		victim, err := strconv.Atoi(d.Victim)
		if err != nil || d.Victim == d.Heir || victims[victim] {
			t.Fatalf("kill %d: pid %s became %s", i+1, d.Victim, d.Heir)
		}
		victims[victim] = true
		delete(before, victim)
		if i < kills-1 {
			b.do(t, chromedp.KeyEvent(kb.Enter)) // the button still has the focus
		}
	}
	text := js[[]string](t, b, `["killed", "kill-ipc", "kill-global"].map(id => document.getElementById(id).textContent)`)
	if text[0] != "20" || text[1] != "20 of 20" || text[2] != "0 of 20" {
		t.Errorf("the page counts %q", text)
	}
	if len(before) != 0 {
		t.Errorf("of the first workers these were not hit: %v", before)
	}
	b.click(t, "#ask")
	if global, ipc := asked(t, b); global != 10 || ipc != 0 {
		t.Errorf("after the kills the login in a global was lost in %d of 10 requests, the one over ipc in %d", global, ipc)
	}
	// The workers that follow go by a login of their own again.
	b.click(t, "#login-button")
	_, _ = asked(t, b)
	t.Logf("%d kills: the shared login was known after %s, the one in a global after %s", kills, text[1], text[2])
}

func accessible(t *testing.T, b *tab, _ *pool) {
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Skip("missing: axe-core (run `npm ci` in scripts/browser)")
	}
	js[*int](t, b, string(axe)+"; null")
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(t, scheme)
		for _, width := range []int64{1280, 375} {
			b.do(t, chromedp.EmulateViewport(width, 900))
			found := js[[]string](t, b, `axe.run().then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + ": " + n.failureSummary)))`)
			for _, text := range found {
				t.Errorf("%s, %d pixels: %s", scheme, width, text)
			}
			t.Logf("axe-core, %s, %d pixels wide: %d violations", scheme, width, len(found))
		}
	}
	b.scheme(t, "light")
	b.do(t, chromedp.EmulateViewport(1280, 900))
}

func phone(t *testing.T, b *tab, _ *pool) {
	for _, width := range []int64{320, 375} {
		b.do(t, chromedp.EmulateViewport(width, 700))
		if got := js[int64](t, b, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("the page is %d pixels wide on a screen of %d", got, width)
		}
	}
	b.do(t, chromedp.EmulateViewport(1280, 900))
	t.Log("no sideways scrolling at 320 and 375 pixels")
}

func reload(t *testing.T, b *tab, p *pool) {
	n := 2000
	if testing.Short() {
		n = 400
	}
	button := fmt.Sprintf(`[data-send="%d"]`, n)
	b.click(t, "#clear")
	b.click(t, button)
	p.ctl(t, "reload")
	during := number(t, b, "answered")
	if during >= n {
		t.Errorf("all %d requests were answered when the reload was done: not a reload under load", n)
	}
	b.until(t, `document.getElementById("chip").textContent.startsWith("generation 2 ")`)
	b.until(t, `!document.querySelector('%s').disabled`, button)
	answered, failed := number(t, b, "answered"), number(t, b, "failed")
	if answered != n || failed != 0 {
		t.Errorf("%d requests across a reload: %d answered, %d failed", n, answered, failed)
	}
	b.until(t, `document.querySelector('[data-try="reload"]').hasAttribute("data-done")`)
	b.click(t, "#ask")
	if _, ipc := asked(t, b); ipc != 0 {
		t.Errorf("after the reload the login over ipc was lost in %d of 10 requests", ipc)
	}
	t.Logf("%d requests across a reload (%d before its end): %d answered, %d failed; still logged in over ipc", n, during, answered, failed)
}

func kill(t *testing.T, b *tab, _ *pool) {
	victim := js[[]row](t, b, rowsJS)[2]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.until(t, `!["%d", undefined].includes(document.querySelector('.worker[data-slot="%d"]')?.dataset.pid)`, victim.PID, victim.Slot)
	b.until(t, `document.querySelector('[data-try="kill"]').hasAttribute("data-done")`)
	b.click(t, "#ask")
	if _, ipc := asked(t, b); ipc != 0 {
		t.Errorf("after the kill the login over ipc was lost in %d of 10 requests", ipc)
	}
	t.Logf("worker %d was killed and is back; still logged in over ipc", victim.Slot)
}

func scale(t *testing.T, b *tab, p *pool) {
	for _, n := range []int{8, 3} {
		p.ctl(t, "scale", strconv.Itoa(n))
		b.until(t, `document.querySelectorAll(".worker").length === %d && document.getElementById("chip").textContent.endsWith(" %d workers")`, n, n)
	}
	t.Log("scale 8, scale 3: the page followed")
}

func logout(t *testing.T, b *tab, _ *pool) {
	b.click(t, "#logout")
	b.until(t, `document.getElementById("logout").hidden`)
	b.do(t, chromedp.Reload())
	me := js[string](t, b, `fetch("/api/me").then(r => r.json()).then(me => String(me.ipc))`)
	if me != "null" {
		t.Errorf("after the logout ipc still knows %s", me)
	}
	t.Log("logged out: ipc knows nobody")
}
