package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"prefork/master"
	"prefork/master/control"
)

// storeTarget is how a command is told which store it means: a pool's, or the
// one at a URL.
type storeTarget struct {
	*target
	program *program
	name    string
	url     string
}

// storeTarget makes the flags that name a store. The pool has a flag of its
// own here, since keys stand where other commands have its name.
func (p *program) storeTarget(cmd *cobra.Command) *storeTarget {
	t := &storeTarget{target: &target{path: newSearchPath(p.environ)}, program: p}
	t.flags(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().Var(&textValue{&t.name, "NAME"}, "name", "name of the pool; with only one running it is not needed")
	must(cmd.RegisterFlagCompletionFunc("name", func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return t.complete(cmd, nil, typed)
	}))
	cmd.Flags().Var(&textValue{&t.url, "URL"}, "url", "the store itself, without asking a pool: redis://:PASSWORD@HOST:PORT/0, rediss://..., unix:///PATH")
	return t
}

// textValue is a flag whose help calls its value by a word of its own.
type textValue struct {
	text *string
	word string
}

func (v *textValue) String() string        { return *v.text }
func (v *textValue) Set(text string) error { *v.text = text; return nil }
func (v *textValue) Type() string          { return v.word }

// open gives a client of the store that is meant. It connects, so that what is
// wrong is said before anything is read from a file.
func (t *storeTarget) open(ctx context.Context) (*storeClient, error) {
	at, err := t.find(ctx)
	if err != nil {
		return nil, err
	}
	d, err := parseStoreURL(at.url)
	if err != nil {
		return nil, err
	}
	c := &storeClient{dial: d.dial, prefix: d.prefix}
	if c.wire, err = d.dial(ctx); err != nil {
		return nil, at.explain(err)
	}
	return c, nil
}

// storePlace is where a store is.
type storePlace struct {
	url  string
	pool string // whose it is; "": it was given by its URL
}

func (t *storeTarget) find(ctx context.Context) (storePlace, error) {
	if t.url != "" {
		if t.control != "" || t.config != "" || t.name != "" {
			return storePlace{}, usage("want --url URL, or a pool", "the store is given more than once")
		}
		return storePlace{url: t.url}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	a, err := t.program.askPool(ctx, t.target, t.name, control.Request{Command: control.CmdStatus})
	if err != nil {
		return storePlace{}, err
	}
	if a.Status == nil {
		return storePlace{}, failed("", "status: the answer has none")
	}
	return t.placeOf(a.Status)
}

// placeOf finds the store of a pool.
func (t *storeTarget) placeOf(s *control.Status) (storePlace, error) {
	switch {
	case len(s.Store.Helpers) > 0:
		return storePlace{socketURL(s.Store.Helpers), s.Name}, nil
	case s.Store.URL != "":
		return t.backend(s)
	}
	return storePlace{}, failed("--store gives it one: docs/how-to/store.md", "the pool %q has no store", s.Name)
}

// socketURL gives the socket of this user, else the first: root may use any.
func socketURL(helpers []control.Helper) string {
	path := helpers[0].Socket
	for _, h := range helpers {
		if h.UID == os.Geteuid() {
			path = h.Socket
		}
	}
	return (&url.URL{Scheme: "unix", Path: path}).String()
}

// backend gives the URL of a server. The master tells it without a password,
// which stands where the master itself has it from.
func (t *storeTarget) backend(s *control.Status) (storePlace, error) {
	candidates := []string{s.Store.URL}
	if t.config != "" {
		file, _ := fileLayer(t.config)
		for _, e := range file["store"] {
			candidates = append(candidates, e.text)
		}
	}
	for _, e := range t.program.environ {
		if text, ok := strings.CutPrefix(e, envPrefix+"STORE="); ok {
			candidates = append(candidates, text)
		}
	}
	for _, c := range candidates {
		b, err := master.ParseStore(c)
		if err == nil && b.String() == s.Store.URL && !strings.Contains(c, redactedMark) {
			return storePlace{c, s.Name}, nil
		}
	}
	return storePlace{}, failed("give it with --url, with -c FILE, or in "+envPrefix+"STORE",
		"the store of the pool %q is at %s, and the password is not known here", s.Name, s.Store.URL)
}

// redactedMark stands for a password in what the master tells.
const redactedMark = "***"

// explain words the error of a connection.
func (at storePlace) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrPermission) && at.pool != "":
		return failed("only the workers' own user and root may use it: try sudo", "connect to the store of %s: %w", at.pool, err)
	case at.pool != "":
		return failed("", "connect to the store of %s: %w", at.pool, err)
	}
	return failed("", "connect to the store: %w", err)
}
