package record_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	first, second := put("a/1"+record.Suffix, "x"), put("a/b/2"+record.PartSuffix, "x")
	other := put("a/notes", "x")
	empty := put("a/3"+record.PartSuffix, "") // opened ahead
	finished := put("c/4"+record.Suffix, "x")
	for _, c := range []struct {
		name  string
		paths []string
		want  []string
	}{
		{"a folder", []string{filepath.Join(dir, "a")}, []string{first, second}},
		{"a file of any name", []string{other, first}, []string{other, first}},
		{"a pattern of files and folders", []string{filepath.Join(dir, "a", "[b1]*")}, []string{first, second}},
		{"a pattern without a match", []string{filepath.Join(dir, "d*"), first}, []string{first}},
		{"a part that is empty", []string{empty}, nil},
		{"a part that was finished since", []string{filepath.Join(dir, "c", "4"+record.PartSuffix)}, []string{finished}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for path, err := range record.Files(c.paths...) {
				require.NoError(t, err)
				got = append(got, path)
			}
			require.Equal(t, c.want, got)
			for range record.Files(c.paths...) {
				break // leaves it
			}
		})
	}
	var errs []error
	for _, err := range record.Files(first, filepath.Join(dir, "none"), second) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2, "an error ends it")
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], fs.ErrNotExist)
}
