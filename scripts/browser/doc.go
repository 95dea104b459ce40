// Package browser tests `prefork demo` in a real Chromium: the program is
// built, started on a free port, and used as a visitor would.
//
// It is a module of its own, so that a browser's protocol does not stand in
// the module graph of the product. `scripts/browser/run` is the one command.
package browser
