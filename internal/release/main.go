// Release makes of the last commit, in a copy, what a release of all modules would be, and proves that
// it can be installed:
//
//	go run -C internal/release . -version v0.1.0
//
// In the copy each go.mod requires the version of the modules of ours that it reaches, in place of
// replacing them, and each go.sum has their hashes; one commit has it all, and each module a tag. A proxy
// of files has the modules as a proxy of the world would. From it the go command, with a cache of its
// own, builds every package of every module, and installs the command line tool, which is run.
//
// With -o DIR the copy stays there, to be pushed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("release: ")
	version := flag.String("version", "", "version of the release, such as v0.1.0")
	out := flag.String("o", "", "folder to leave the copy in, which must not exist; default none")
	flag.Parse()
	if flag.NArg() > 0 || *version == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *version, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, version, out string) (err error) {
	if err := checkVersion(version); err != nil {
		return err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "tickstorm-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(temp)) }()
	if out == "" {
		out = filepath.Join(temp, "copy")
	} else if out, err = filepath.Abs(out); err != nil {
		return err
	} else if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s is there already", out)
	}
	r := &release{version: version, dir: out, proxy: filepath.Join(temp, "proxy"), temp: temp}
	if err := r.clone(ctx, root); err != nil {
		return err
	}
	for _, m := range r.modules {
		if err := r.prepare(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		log.Printf("%s %s", m.path, version)
	}
	tags, err := r.tag(ctx)
	if err != nil {
		return err
	}
	if err := r.prove(ctx); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	log.Printf("installed and run from a proxy; tags: %s", strings.Join(tags, " "))
	if filepath.Dir(out) != temp {
		log.Printf("to release it: git -C %s push ORIGIN HEAD:main %s", out, strings.Join(tags, " "))
	}
	return nil
}

// remove removes a folder with a module cache, whose files are read-only.
func remove(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// command runs a command in a folder and returns what it has written.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, text, errs.String())
	}
	return string(text), nil
}
