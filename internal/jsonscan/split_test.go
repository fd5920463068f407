package jsonscan_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

func TestSkipSpace(t *testing.T) {
	tests := []struct {
		name, text string
		from, want int
	}{
		{"nothing", "", 0, 0},
		{"no space", "a b", 0, 0},
		{"all four", " \t\r\nx", 0, 4},
		{"to the end", "a  ", 1, 3},
		{"from the middle", "a  b ", 2, 3},
		{"at the end", "ab", 2, 2},
		{"form feed is none", " \fx", 0, 1},
		{"vertical tab is none", "\vx", 0, 0},
		{"zero byte is none", "\x00", 0, 0},
		{"no-break space is none", "\u00a0x", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, jsonscan.SkipSpace([]byte(tt.text), tt.from))
		})
	}
}

func TestLooseEnd(t *testing.T) {
	tests := []struct {
		name, text string
		from, end  int
		ok         bool
	}{
		{"comma", `12,3]`, 0, 2, true},
		{"bracket", `12]`, 0, 2, true},
		{"at once", `,`, 0, 0, true},
		{"empty", ``, 0, 0, false},
		{"input ends", `{"a":1}`, 0, 7, false},
		{"behind an object", `{"a":1},{}]`, 0, 7, true},
		{"comma inside", `{"a":1,"b":[1,2]},3]`, 0, 17, true},
		{"comma in a string", `"a,b]c",1]`, 0, 7, true},
		{"escaped quote", `"a\",b",1]`, 0, 7, true},
		{"escaped backslash", `"a\\",b",1]`, 0, 5, true},
		{"raw control in a string", "\"a\n\x00,\",1]", 0, 6, true},
		{"string is not closed", `{"a":"b,1]`, 0, 10, false},
		{"input ends in an escape", `"a\`, 0, 3, false},
		{"input ends behind an escaped quote", `"a\"`, 0, 4, false},
		{"brackets of either kind count alike", `[1,2},3]`, 0, 5, true},
		{"object closed by a bracket", `{"a":1],2]`, 0, 7, true},
		{"brace at depth 0", `}},1]`, 0, 2, true},
		{"brace at depth 0, then deeper", `}[1,2],3]`, 0, 6, true},
		{"never closed", `[[1,2],3`, 0, 8, false},
		{"garbage", `nul!,1]`, 0, 4, true},
		{"from the middle", `[{"a":01},{"b":2}]`, 1, 9, true},
		{"second element", `[{"a":01},{"b":2}]`, 10, 17, true},
		{"spaces belong to the element", "1 \t,2", 0, 3, true},
		{"from behind the end", "1", 1, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end, ok := jsonscan.LooseEnd([]byte(tt.text), tt.from)
			require.Equal(t, tt.ok, ok)
			require.Equal(t, tt.end, end)
		})
	}
}

func TestLooseEndAgreesWithValue(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			for _, tail := range []string{",1]", "]", "  ,2]", "\n]"} {
				text := []byte(tt.text + tail)
				end, err := jsonscan.Value(text, jsonscan.SkipSpace(text, 0), jsonscan.MaxDepth)
				require.NoError(t, err)
				loose, ok := jsonscan.LooseEnd(text, 0)
				require.True(t, ok)
				require.Equal(t, jsonscan.SkipSpace(text, end), loose)
			}
		})
	}
}
