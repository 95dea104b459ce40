package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"prefork/scripts/storm/peers"
)

func comparePeers(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	plan := peers.Plan{Log: stderr}
	var binary, worker, only string
	fs := flagSet(stderr)
	loadFlags(fs, &plan.Load)
	fs.IntVar(&plan.Workers, "workers", 4, "workers of each server")
	fs.IntVar(&plan.Reloads, "reloads", 12, "reloads of each server, twice")
	fs.IntVar(&plan.Kills, "kills", 12, "workers of each server that are killed")
	fs.DurationVar(&plan.Every, "every", time.Second, "from one fault to the next")
	fs.Uint64Var(&plan.Seed, "seed", 1, "of the victims")
	fs.StringVar(&binary, "prefork", "", "prefork's binary; none: it is built from this module")
	fs.StringVar(&worker, "worker", "", "command of its worker; none: ./scripts/storm/echo")
	fs.StringVar(&only, "only", "", "names of servers, joined by commas; none: all")
	if err := parse(fs, args); err != nil {
		return err
	}
	if plan.Workers < 1 || plan.Reloads < 1 || plan.Kills < 0 || plan.Every <= 0 {
		return usageError(fs, errors.New("-workers, -reloads and -every are at least 1, -kills at least 0"))
	}
	dir, err := os.MkdirTemp("", "storm-build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	command := strings.Fields(worker)
	list := peers.Known(orBuilt(binary, dir, "prefork"), command)
	if only != "" {
		names := strings.Split(only, ",")
		list = slices.DeleteFunc(list, func(p peers.Peer) bool {
			return !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(p.Name, name) })
		})
		if len(list) == 0 {
			return usageError(fs, fmt.Errorf("-only %q: no server has such a name", only))
		}
	}
	for i, p := range list {
		if !strings.HasPrefix(p.Name, "prefork") {
			continue
		}
		if binary == "" {
			if err := build(ctx, "./cmd/prefork", filepath.Join(dir, "prefork")); err != nil {
				return err
			}
		}
		if worker == "" {
			command = []string{filepath.Join(dir, "echo")}
			if err := build(ctx, "./scripts/storm/echo", command[0]); err != nil {
				return err
			}
		}
		list[i] = peers.Known(orBuilt(binary, dir, "prefork"), command)[0]
	}
	_, err = io.WriteString(stdout, peers.Table(plan.Compare(ctx, list), plan))
	return err
}

func orBuilt(path, dir, name string) string {
	if path != "" {
		return path
	}
	return filepath.Join(dir, name)
}

func build(ctx context.Context, pkg, to string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", to, pkg).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}
