package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/zip"
)

// ours is the path that all modules of the repository begin with.
const ours = "github.com/tickstorm/tickstorm"

// tool is the program that is installed.
const tool = ours + "/cmd/tickstorm"

// A release is what is made of a commit.
type release struct {
	version string
	dir     string   // of the copy
	proxy   string   // folder of the files of a proxy
	temp    string   // folder of what is not kept
	modules []*mod   // those that are released, each behind what it requires
	env     []string // of the go command
}

// mod is a module of ours.
type mod struct {
	path   string
	folder string // below the root, with slashes; "." is the root
	file   *modfile.File
}

func checkVersion(v string) error {
	if !semver.IsValid(v) || semver.Canonical(v) != v || semver.Build(v) != "" {
		return fmt.Errorf("%q is no version: it is written like v0.1.0", v)
	}
	if m := semver.Major(v); m != "v0" && m != "v1" {
		return fmt.Errorf("%s: from v2 on the modules' paths have to end in the major version", v)
	}
	return nil
}

// released reports whether a module in a folder is for others: not one of tests, benchmarks and tools.
func released(folder string) bool {
	for part := range strings.SplitSeq(folder, "/") {
		if part != "." && strings.HasPrefix(part, ".") || slices.Contains([]string{"internal", "bench", "interop", "examples", "testdata"}, part) {
			return false
		}
	}
	return true
}

// clone copies the last commit, and finds its modules.
func (r *release) clone(ctx context.Context, root string) error {
	if changed, err := command(ctx, root, nil, "git", "status", "--porcelain"); err != nil {
		return err
	} else if changed != "" {
		log.Print("what is not committed is not part of it")
	}
	if _, err := command(ctx, root, nil, "git", "clone", "-q", "--no-tags", root, r.dir); err != nil {
		return err
	}
	list, err := command(ctx, r.dir, nil, "git", "ls-files", "*go.mod")
	if err != nil {
		return err
	}
	var all []*mod
	for file := range strings.FieldsSeq(list) {
		m := &mod{folder: path.Dir(file)}
		if path.Base(file) != "go.mod" || !released(m.folder) {
			continue
		}
		if code, err := r.hasCode(ctx, m.folder); err != nil {
			return err
		} else if !code {
			continue
		}
		text, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(file)))
		if err != nil {
			return err
		}
		if m.file, err = modfile.Parse(file, text, nil); err != nil {
			return err
		}
		m.path = m.file.Module.Mod.Path
		if want := path.Join(ours, m.folder); m.path != want {
			return fmt.Errorf("%s is the module %s, not %s", file, m.path, want)
		}
		all = append(all, m)
	}
	if r.modules, err = ordered(all); err != nil {
		return err
	}
	return r.environment(ctx)
}

// hasCode reports whether a module has more than tests.
func (r *release) hasCode(ctx context.Context, folder string) (bool, error) {
	text, err := command(ctx, filepath.Join(r.dir, filepath.FromSlash(folder)), nil, "go", "list", "-find", "-e", "-f", "{{len .GoFiles}}", "./...")
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(strings.Fields(text), func(n string) bool { return n != "0" }), nil
}

// ordered puts each module behind those that it requires.
func ordered(all []*mod) ([]*mod, error) {
	var done []*mod
	has := func(path string) bool { return slices.ContainsFunc(done, func(m *mod) bool { return m.path == path }) }
	for len(done) < len(all) {
		before := len(done)
		for _, m := range all {
			if has(m.path) {
				continue
			}
			ready := true
			for _, q := range m.file.Require {
				if isOurs(q.Mod.Path) && !has(q.Mod.Path) {
					ready = false
					if !slices.ContainsFunc(all, func(o *mod) bool { return o.path == q.Mod.Path }) {
						return nil, fmt.Errorf("%s requires %s, which is not released", m.path, q.Mod.Path)
					}
				}
			}
			if ready {
				done = append(done, m)
			}
		}
		if len(done) == before {
			return nil, errors.New("modules require each other in a circle")
		}
	}
	return done, nil
}

func isOurs(path string) bool { return path == ours || strings.HasPrefix(path, ours+"/") }

// environment has the go command take our modules from the files, and others from where they are
// on this machine or, as a rule, come from; what it gets it keeps apart.
func (r *release) environment(ctx context.Context) error {
	cache, err := command(ctx, r.dir, nil, "go", "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	rest, err := command(ctx, r.dir, nil, "go", "env", "GOPROXY")
	if err != nil {
		return err
	}
	none, err := command(ctx, r.dir, nil, "go", "env", "GONOSUMDB")
	if err != nil {
		return err
	}
	local := "file://" + filepath.ToSlash(filepath.Join(strings.TrimSpace(cache), "cache", "download"))
	r.env = []string{
		"GOPROXY=file://" + filepath.ToSlash(r.proxy) + "," + local + "," + strings.TrimSpace(rest),
		"GONOSUMDB=" + strings.Trim(ours+","+ours+"/*,"+strings.TrimSpace(none), ","),
		"GOMODCACHE=" + filepath.Join(r.temp, "modules"), "GOWORK=off", "GOBIN=" + filepath.Join(r.temp, "bin"), "GOPRIVATE=", "GONOPROXY=none",
	}
	return nil
}

// prepare has a module require the others in place of replacing them, commits that, and puts it into
// the proxy.
func (r *release) prepare(ctx context.Context, m *mod) error {
	folder := filepath.Join(r.dir, filepath.FromSlash(m.folder))
	for _, q := range slices.Clone(m.file.Replace) {
		if !isOurs(q.Old.Path) {
			return fmt.Errorf("it replaces %s, with which it cannot be installed", q.Old.Path)
		}
		if err := m.file.DropReplace(q.Old.Path, q.Old.Version); err != nil {
			return err
		}
	}
	for _, q := range m.file.Require {
		if isOurs(q.Mod.Path) {
			if err := m.file.AddRequire(q.Mod.Path, r.version); err != nil {
				return err
			}
		}
	}
	m.file.Cleanup()
	text, err := m.file.Format()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), text, 0o644); err != nil {
		return err
	}
	if _, err := command(ctx, folder, r.env, "go", "mod", "tidy"); err != nil {
		return err
	}
	if changed, err := command(ctx, folder, nil, "git", "status", "--porcelain", "."); err != nil {
		return err
	} else if changed != "" {
		if _, err := r.git(ctx, "commit", "-q", "-a", "-m", m.path+" "+r.version); err != nil {
			return err
		}
	}
	if text, err = os.ReadFile(filepath.Join(folder, "go.mod")); err != nil {
		return err
	}
	return r.publish(m, text)
}

// git runs git in the copy, as somebody.
func (r *release) git(ctx context.Context, args ...string) (string, error) {
	who := []string{"GIT_AUTHOR_NAME=release", "GIT_AUTHOR_EMAIL=release@localhost", "GIT_COMMITTER_NAME=release", "GIT_COMMITTER_EMAIL=release@localhost"}
	return command(ctx, r.dir, who, "git", args...)
}

// publish puts the module of the last commit into the proxy, as a proxy makes it of a repository.
func (r *release) publish(m *mod, gomod []byte) error {
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{r.version, time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	for suffix, text := range map[string][]byte{".mod": gomod, ".info": info} {
		if err := os.WriteFile(filepath.Join(dir, r.version+suffix), text, 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "list"), []byte(r.version+"\n"), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, r.version+".zip"))
	if err != nil {
		return err
	}
	subdir := m.folder
	if subdir == "." {
		subdir = ""
	}
	return errors.Join(zip.CreateFromVCS(f, module.Version{Path: m.path, Version: r.version}, r.dir, "HEAD", subdir), f.Close())
}

// tag makes one commit of all, and gives it the tag of each module. The modules stay what they were:
// none has files of another.
func (r *release) tag(ctx context.Context) (tags []string, err error) {
	first, err := r.git(ctx, "rev-parse", "origin/HEAD")
	if err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, "reset", "-q", "--soft", strings.TrimSpace(first)); err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, "commit", "-q", "--allow-empty", "-m", "Release "+r.version); err != nil {
		return nil, err
	}
	for _, m := range r.modules {
		tag := path.Join(m.folder, r.version)
		if _, err := r.git(ctx, "tag", "-a", "-m", m.path+" "+r.version, tag); err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// prove builds all packages of all modules from the proxy, where no copy is, and installs the tool
// and runs it.
func (r *release) prove(ctx context.Context) error {
	user := filepath.Join(r.temp, "user")
	if err := os.MkdirAll(user, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(user, "go.mod"), []byte("module example.com/user\n\ngo 1.26.0\n"), 0o644); err != nil {
		return err
	}
	get := []string{"get"}
	for _, m := range r.modules {
		get = append(get, m.path+"@"+r.version)
	}
	if _, err := command(ctx, user, r.env, "go", get...); err != nil {
		return err
	}
	for _, m := range r.modules {
		if _, err := command(ctx, user, r.env, "go", "build", "-mod=mod", m.path+"/..."); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(r.modules, func(m *mod) bool { return m.path == tool }) {
		return fmt.Errorf("%s is not among the modules", tool)
	}
	if _, err := command(ctx, user, r.env, "go", "install", tool+"@"+r.version); err != nil {
		return err
	}
	binary := filepath.Join(r.temp, "bin", "tickstorm")
	said, err := command(ctx, user, nil, binary, "version")
	if err != nil {
		return err
	}
	if !strings.Contains(said, " "+r.version+",") {
		return fmt.Errorf("the installed tool says it is %q", said)
	}
	line, err := command(ctx, user, nil, binary, "sub", "--demo", "-n", "1", "-f", "json", "T.AAPL")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, `{"ev":"T","sym":"AAPL"`) {
		return fmt.Errorf("the installed tool shows %q", line)
	}
	return nil
}
