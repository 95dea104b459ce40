package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"prefork/master/control"
)

// release is set by the linker for a release: -ldflags "-X main.release=v1.0.0".
var release string

// version is the version of this binary: the release, else what the toolchain
// recorded of the source.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = "-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return "devel" + revision + dirty
}

// platform names toolchain and target.
func platform() string {
	return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version [NAME]",
		Short: "Show the version of this program, or of a running pool's master",
		Example: `  prefork version
  prefork version shop   # what the master of "shop" runs`,
		Args: atMost(1),
	}
	t := p.target(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 && t.control == "" && t.config == "" {
			_, err := fmt.Fprintf(p.stdout, "prefork %s (%s)\n", version(), platform())
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		a, err := p.askPool(ctx, t, first(args), control.Request{Command: control.CmdVersion})
		if err != nil {
			return err
		}
		return p.say(a, "the master does not say its version")
	}
	return cmd
}
