package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed page
var page embed.FS

// asset is one file of the page.
type asset struct {
	contentType string
	etag        string
	body        []byte
}

// assets maps paths to files. A missing one is an error of the build.
var assets = map[string]asset{
	"/{$}":         load("page/index.html", "text/html; charset=utf-8"),
	"/demo.css":    load("page/demo.css", "text/css; charset=utf-8"),
	"/demo.js":     load("page/demo.js", "text/javascript; charset=utf-8"),
	"/favicon.svg": load("page/favicon.svg", "image/svg+xml"),
}

func load(name, contentType string) asset {
	body, err := page.ReadFile(name)
	if err != nil {
		panic("demo: embedded page: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return asset{contentType: contentType, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
}

// ServeHTTP lets a browser keep the file, but ask each time: the worker that
// answers next may be of another generation, with another page.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
