// Package layers keeps the packages of this repository apart: a test fails where one
// imports what its layer must not know. The compiler keeps arrows from going in circles, and
// this test keeps them from going up.
package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root     = "github.com/tickstorm/tickstorm"
	ws       = "github.com/gobwas/ws"
	fastjson = "github.com/valyala/fastjson"
	testify  = "github.com/stretchr/testify"
)

// A layer is what one package may import: packages of this repository by their folder, third
// parties by the path of their module, and those of the standard library that are in
// guarded. All else of the standard library is free, and a nested module may import any
// third party, for that is why it is a module of its own.
type layer struct {
	knows []string // in all files
	tests []string // in tests, besides
}

// guarded are the packages of the standard library that need an entry.
var guarded = []string{"C", "syscall", "unsafe"}

// house says what each package may know. A key is a folder, or a pattern of path.Match for
// several; a folder's own row goes before patterns.
var house = map[string]layer{
	".": {
		knows: []string{"frame", "internal/intern", "internal/jsonscan", "internal/past", "internal/poison", "internal/redact", "internal/ring", "internal/sock", "internal/swar", fastjson, ws, "syscall"},
		tests: []string{"internal/fixture", "internal/leak", "sim", testify},
	},
	"frame":               {knows: []string{"internal/poison", "internal/swar", ws}, tests: []string{testify}},
	"epoll":               {knows: []string{".", "internal/sock", "syscall"}, tests: []string{"internal/fixture", "internal/leak", "internal/poison", "frame", "sim", testify, ws}},
	"internal/buckets":    {knows: []string{"."}},
	"internal/cputime":    {knows: []string{"syscall"}},
	"internal/dialogue":   {knows: []string{".", "internal/past", ws}, tests: []string{testify}},
	"internal/faults":     {knows: []string{".", "epoll", "sim"}, tests: []string{"internal/fixture", "internal/leak", testify, ws}},
	"internal/filelock":   {knows: []string{"syscall"}, tests: []string{testify}},
	"internal/fixture":    {knows: []string{".", "frame", "internal/selfsigned", "sim", testify, ws, "syscall"}},
	"internal/fanout":     {knows: []string{".", "internal/dialogue", "internal/intern", "internal/poison", ws}, tests: []string{"bench", "internal/leak", testify, "syscall"}},
	"internal/gate":       {tests: []string{testify}},
	"internal/jsonscan":   {knows: []string{"internal/swar"}, tests: []string{fastjson, testify}},
	"internal/layers":     {tests: []string{testify}},
	"internal/leak":       {},
	"internal/past":       {tests: []string{".", "internal/dialogue", testify}},
	"internal/pgserver":   {knows: []string{"syscall"}},
	"internal/poison":     {},
	"internal/redact":     {tests: []string{testify}},
	"internal/release":    {tests: []string{testify}},
	"internal/ring":       {tests: []string{testify}},
	"internal/sock":       {knows: []string{"syscall"}, tests: []string{testify}},
	"internal/selfsigned": {},
	"internal/intern":     {knows: []string{"internal/swar", "unsafe"}, tests: []string{testify}},
	"internal/swar":       {tests: []string{testify}},

	"sim":                 {knows: []string{".", "frame", "internal/dialogue", "internal/gate", "internal/redact", "internal/selfsigned", ws}, tests: []string{"internal/fixture", "internal/leak", "internal/poison", testify}},
	"relay/admin":         {knows: []string{".", "internal/buckets", "internal/gate", "relay"}, tests: []string{"internal/leak", testify}},
	"relay/admin/browser": {tests: []string{".", "relay", "relay/admin", "sim", testify}},

	"relay":     {knows: []string{".", "frame", "internal/dialogue", "internal/fanout", "internal/filelock", "internal/gate", "internal/past", ws}, tests: []string{"internal/fixture", "internal/leak", "sim", testify}},
	"metrics/*": {knows: []string{".", "internal/buckets"}, tests: []string{"sim", testify}},
	"record":    {knows: []string{".", "internal/dialogue", "internal/past", "syscall"}, tests: []string{"internal/fixture", "sim", testify}},
	"interop":   {tests: []string{".", "record", "relay", "sim", testify}},
	"sink":      {knows: []string{".", "record", "internal/filelock", "internal/past", "sink/internal/again", "sink/internal/counts", "sink/internal/life"}, tests: []string{"internal/leak", "relay", "sim", "sink/internal/sinktest", testify}},

	"sink/internal/again":        {tests: []string{testify}},
	"sink/internal/counts":       {},
	"sink/internal/life":         {},
	"sink/internal/sinktest":     {knows: []string{".", "record", "sim", "sink", testify}},
	"sink/kafka":                 {knows: []string{".", "record", "sink", "sink/internal/again", "sink/internal/counts", "sink/internal/life"}, tests: []string{"internal/cputime", "internal/leak", "internal/selfsigned", "sim", "sink/internal/sinktest", testify}},
	"sink/nats":                  {knows: []string{".", "sink", "sink/internal/again", "sink/internal/counts", "sink/internal/life"}, tests: []string{"internal/fixture", "internal/leak", "record", "sim", "sink/internal/sinktest", "sink/nats/embedded", "sink/nats/internal/fixture", testify}},
	"sink/nats/embedded":         {knows: []string{"internal/filelock"}},
	"sink/nats/internal/faults":  {tests: []string{".", "internal/fixture", "internal/leak", "sink", "sink/internal/sinktest", "sink/nats", "sink/nats/internal/fixture", testify}},
	"sink/nats/internal/fixture": {knows: []string{".", "internal/fixture", "sink", "sink/internal/sinktest", "sink/nats", "sink/nats/embedded", testify}},
	"sink/nats/examples/*":       {knows: []string{".", "record", "sim", "sink", "sink/nats", "sink/nats/embedded"}},

	"sink/postgres": {knows: []string{".", "internal/redact", "record", "sink", "sink/internal/counts"}, tests: []string{"internal/cputime", "internal/fixture", "internal/leak", "internal/pgserver", "sim", "sink/internal/sinktest", testify}},

	"sink/parquet":        {knows: []string{".", "record", "sink", "sink/internal/again", "sink/internal/counts"}, tests: []string{"internal/cputime", "internal/fixture", "internal/leak", "sim", "sink/internal/sinktest", testify, "syscall"}},
	"sink/parquet/duckdb": {tests: []string{".", "internal/fixture", "record", "sim", "sink/parquet", testify}},

	"bench":               {knows: []string{".", "epoll", "frame", "internal/jsonscan", "internal/selfsigned", "sim", fastjson, ws, "unsafe"}, tests: []string{"internal/cputime", "internal/leak", testify}},
	"bench/growth":        {tests: []string{testify}},
	"bench/rivals":        {knows: []string{".", "bench", "unsafe"}},
	"bench/rivals/tables": {knows: []string{"bench", "bench/rivals", "internal/cputime"}},
	"bench/relay":         {knows: []string{".", "internal/cputime", "internal/dialogue", "relay", "sim", "syscall"}, tests: []string{testify}},
	"fuzz":                {tests: []string{".", "frame", "internal/jsonscan", "internal/redact", "sim", testify, ws}},

	"cmd/tickstorm":                  {knows: []string{".", "cmd/tickstorm/internal/format", "cmd/tickstorm/internal/top", "cmd/tickstorm/internal/when", "cmd/tickstorm/internal/where", "internal/past", "internal/redact", "record", "relay", "relay/admin", "sim", "sink", "sink/kafka", "sink/nats", "sink/nats/embedded", "sink/parquet", "sink/postgres", "syscall"}, tests: []string{"cmd/tickstorm/internal/screen", "internal/fixture", "internal/leak", "internal/pgserver", testify, ws}},
	"cmd/tickstorm/internal/format":  {knows: []string{".", "record"}, tests: []string{"internal/fixture", testify}},
	"cmd/tickstorm/internal/picture": {knows: []string{"cmd/tickstorm/internal/screen", "sim"}},
	"cmd/tickstorm/internal/screen":  {knows: []string{"syscall"}, tests: []string{"internal/leak", testify}},
	"cmd/tickstorm/internal/top":     {knows: []string{".", "internal/past", "internal/redact"}, tests: []string{"cmd/tickstorm/internal/screen", "internal/fixture", "internal/leak", "sim", testify}},
	"cmd/tickstorm/internal/when":    {tests: []string{testify}},
	"cmd/tickstorm/internal/where":   {knows: []string{"."}, tests: []string{testify}},

	"record/examples/*":         {knows: []string{".", "record", "sim"}, tests: []string{"syscall", testify}},
	"examples/internal/simproc": {knows: []string{".", "sim"}},
	"examples/*":                {knows: []string{".", "epoll", "examples/internal/simproc", "frame", "relay", "sim", ws, "syscall"}},
}

// pkg is a package as its files have it, those of other platforms and tags included.
type pkg struct {
	folder  string // below the root; "." is the root
	nested  bool   // in a module of its own
	imports []string
	tests   []string // what only its tests import, in the package or beside it
}

func TestHouse(t *testing.T) {
	require.Empty(t, violations(house, packages(t)))
}

func TestViolations(t *testing.T) {
	table := map[string]layer{
		".":        {knows: []string{"low", ws}, tests: []string{"high", testify}},
		"low":      {knows: []string{"syscall"}},
		"high":     {knows: []string{"."}},
		"tools/*":  {knows: []string{"."}},
		"tools/id": {knows: []string{"unsafe"}},
	}
	whole := func(p pkg) []pkg {
		all := []pkg{{folder: "."}, {folder: "low"}, {folder: "high"}, {folder: "tools/a"}, {folder: "tools/id"}}
		all = slices.DeleteFunc(all, func(q pkg) bool { return q.folder == p.folder })
		return append(all, p)
	}
	for _, c := range []struct {
		name string
		pkgs []pkg
		want []string
	}{
		{"all is as it should be", whole(pkg{
			folder:  ".",
			imports: []string{"net/http", root + "/low", ws, ws + "/wsutil"},
			tests:   []string{root, root + "/high", testify + "/require", "testing"},
		}), nil},
		{"the root reaches up", whole(pkg{folder: ".", imports: []string{root + "/high"}}),
			[]string{". must not import high"}},
		{"a lower layer reaches up", whole(pkg{folder: "low", imports: []string{root}}),
			[]string{"low must not import ."}},
		{"a layer is jumped over", whole(pkg{folder: "high", imports: []string{root, root + "/low"}}),
			[]string{"high must not import low"}},
		{"tests reach up", whole(pkg{folder: "low", tests: []string{root + "/high"}}),
			[]string{"tests of low must not import high"}},
		{"what tests may is not for all", whole(pkg{folder: ".", imports: []string{testify + "/require"}}),
			[]string{". must not import " + testify + "/require"}},
		{"a third party", whole(pkg{folder: "low", imports: []string{"example.com/left/pad"}}),
			[]string{"low must not import example.com/left/pad"}},
		{"a third party whose path begins like one that is known", whole(pkg{folder: ".", imports: []string{ws + "flate"}}),
			[]string{". must not import " + ws + "flate"}},
		{"a third party of a nested module", whole(pkg{folder: "tools/a", nested: true, imports: []string{root, "example.com/left/pad"}, tests: []string{ws}}), nil},
		{"a nested module is in its layer all the same", whole(pkg{folder: "tools/a", nested: true, imports: []string{root + "/high"}}),
			[]string{"tools/a must not import high"}},
		{"guarded and not known", whole(pkg{folder: ".", imports: []string{"syscall", "unsafe"}, tests: []string{"C"}}),
			[]string{". must not import syscall", ". must not import unsafe", "tests of . must not import C"}},
		{"guarded and known", whole(pkg{folder: "low", imports: []string{"syscall"}}), nil},
		{"a folder's own row goes before a pattern", whole(pkg{folder: "tools/id", imports: []string{root, "unsafe"}}),
			[]string{"tools/id must not import ."}},
		{"a package that no row has", whole(pkg{folder: "attic"}),
			[]string{"attic is not in the table"}},
		{"a pattern is of one folder", whole(pkg{folder: "tools/a/b"}),
			[]string{"tools/a/b is not in the table"}},
		{"rows without packages", []pkg{{folder: "."}, {folder: "high"}},
			[]string{"low is in the table and does not exist", "tools/* is in the table and does not exist", "tools/id is in the table and does not exist"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, violations(table, c.pkgs))
		})
	}
	t.Run("a row that is planned", func(t *testing.T) {
		table := map[string]layer{"low": {}, "high": {}, "higher": {}}
		require.Equal(t, []string{"higher is in the table and does not exist"}, violations(table, []pkg{{folder: "low"}}, "high"))
		require.Empty(t, violations(table, []pkg{{folder: "low"}, {folder: "high"}, {folder: "higher"}}, "high"), "and built")
	})
}

// violations returns where packages are not what a table says, in order; rows that are
// planned may be without a package. Since every import is looked at, what a package reaches
// through others is bounded by the table too.
func violations(table map[string]layer, pkgs []pkg, planned ...string) []string {
	var found []string
	used := make(map[string]bool)
	for _, p := range pkgs {
		key, ok := row(table, p.folder)
		if !ok {
			found = append(found, p.folder+" is not in the table")
			continue
		}
		used[key] = true
		may := table[key].knows
		for _, i := range p.imports {
			if name, ok := allowed(p, may, i); !ok {
				found = append(found, fmt.Sprintf("%s must not import %s", p.folder, name))
			}
		}
		may = append(slices.Clone(may), p.folder) // a test beside its package imports it
		may = append(may, table[key].tests...)
		for _, i := range p.tests {
			if name, ok := allowed(p, may, i); !ok {
				found = append(found, fmt.Sprintf("tests of %s must not import %s", p.folder, name))
			}
		}
	}
	for key := range table {
		if !used[key] && !slices.Contains(planned, key) {
			found = append(found, key+" is in the table and does not exist")
		}
	}
	slices.Sort(found)
	return slices.Compact(found) // several files import the same
}

// row finds the key of a folder's row.
func row(table map[string]layer, folder string) (key string, ok bool) {
	if _, ok := table[folder]; ok {
		return folder, true
	}
	for key := range table {
		if ok, _ := path.Match(key, folder); ok {
			return key, true
		}
	}
	return "", false
}

// allowed reports whether a package may import a path, if it may know these. The name is
// the path's as a table has it.
func allowed(p pkg, may []string, imported string) (name string, ok bool) {
	if imported == root {
		return ".", slices.Contains(may, ".")
	}
	if folder, ours := strings.CutPrefix(imported, root+"/"); ours {
		return folder, slices.Contains(may, folder)
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") { // the go command's rule for what is standard
		return imported, !slices.Contains(guarded, imported) || slices.Contains(may, imported)
	}
	return imported, p.nested || slices.ContainsFunc(may, func(module string) bool {
		return imported == module || strings.HasPrefix(imported, module+"/")
	})
}

// packages lists the packages of all modules of the repository. Imports are read from all
// files that the go command sees in a package's folder: what it says of imports is only
// true of the platform and the tags that it is asked for.
func packages(t *testing.T) []pkg {
	var pkgs []pkg
	for _, module := range modules(t) {
		command := exec.Command("go", "list", "-find", "-json=Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
		command.Dir = module
		command.Stderr = new(strings.Builder)
		out, err := command.Output()
		require.NoError(t, err, "go list in %s: %s", module, command.Stderr)
		for list := json.NewDecoder(strings.NewReader(string(out))); ; {
			var found struct {
				Dir                                                          string
				GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
			}
			err := list.Decode(&found)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			top, err := filepath.Abs("../..")
			require.NoError(t, err)
			folder, err := filepath.Rel(top, found.Dir)
			require.NoError(t, err)
			p := pkg{folder: filepath.ToSlash(folder), nested: filepath.Clean(module) != filepath.Join("..", "..")}
			for _, file := range slices.Concat(found.GoFiles, found.CgoFiles, found.IgnoredGoFiles, found.TestGoFiles, found.XTestGoFiles) {
				imported := imports(t, filepath.Join(found.Dir, file))
				if strings.HasSuffix(file, "_test.go") {
					p.tests = append(p.tests, imported...)
				} else {
					p.imports = append(p.imports, imported...)
				}
			}
			pkgs = append(pkgs, p)
		}
	}
	return pkgs
}

// modules finds the folders of all modules. Those without packages have nothing to say.
func modules(t *testing.T) []string {
	var found []string
	err := filepath.WalkDir(filepath.Join("..", ".."), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.Name() == "go.mod":
			found = append(found, filepath.Dir(name))
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

// imports reads what a file imports.
func imports(t *testing.T, name string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	require.NoError(t, err)
	paths := make([]string, len(file.Imports))
	for i, spec := range file.Imports {
		paths[i], err = strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
	}
	return paths
}
