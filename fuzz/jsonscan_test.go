package fuzz

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

// FuzzValid holds the validator to encoding/json, and the index and the error
// of Value to each other.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{
		`[{"ev":"Q","sym":"NVDA","i":[604],"bx":10,"ax":15,"bp":225.62,"ap":225.64,"bs":100,"as":500,"t":1786649956446,"q":106078192,"z":3}]`,
		`[{"ev":"T","p":0.0001,"s":1E+06,"ds":"0.5"},{"p":-1234567.1,"t":123456789012345678}]`,
		`{ "a" : [ true , false , null , {} , [] ] , "long name of a key" : "\u00e9\ud83d\ude00\n" }`,
		`[-01]`, `[1.]`, `[.5]`, `[+1]`, `[1e]`, `[1e+]`, `[0x1]`, `[NaN]`, `[--1]`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `{'a':1}`,
		"[\"raw \x01 control\"]", `["\q"]`, `["\u12x4"]`, `"open`, `[[[`, `[}`, `1 2`, "\xef\xbb\xbf[]", ``, ` `, "[\"\xff\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		begin := jsonscan.SkipSpace(text, 0)
		end, err := jsonscan.Value(text, begin, jsonscan.MaxDepth)
		require.GreaterOrEqual(t, end, begin)
		require.LessOrEqual(t, end, len(text))

		valid := jsonscan.Valid(text)
		if err == jsonscan.ErrDepth {
			require.False(t, valid)
			return
		}
		require.Equal(t, json.Valid(text), valid, "%q", text)
		switch err {
		case nil:
			require.True(t, json.Valid(text[begin:end]))
			require.Equal(t, valid, jsonscan.SkipSpace(text, end) == len(text))
		case jsonscan.ErrTruncated:
			require.Equal(t, len(text), end)
			require.False(t, valid)
		default:
			require.Equal(t, jsonscan.ErrSyntax, err)
			require.False(t, valid)

			// What is wrong stays wrong, at the same place, whatever follows it.
			again, err := jsonscan.Value(append(bytes.Clone(text), "                    "...), begin, jsonscan.MaxDepth)
			require.Equal(t, jsonscan.ErrSyntax, err)
			require.Equal(t, end, again)
		}
	})
}

// FuzzNumber holds the conversions of numbers to strconv and math/big.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{
		"0", "-0", "-0.0", "225.62", "0.0001", "3.39566313e+08", "1.7e18", "120e-1", "0e999", "1e999999999999", "1e-999999999999",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "9007199254740993",
		"1.00000000000000011102230246251565404236316680908203125", "2.4703282292062328e-324", "1.7976931348623158e308",
		"0.10000000000000000555111512312578270211815834045410", "01", "1.", ".5", "+1", "1e", "0x1", "Inf", "", "-",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, tok []byte) {
		float, floatOK := jsonscan.Float(tok)
		integer, intOK := jsonscan.Int(tok)

		// Of all JSON values only numbers begin with a digit or a minus, and the last
		// byte of a number is a digit, so that no space hides at either end.
		isNumber := len(tok) > 0 && (tok[0] == '-' || isDigit(tok[0])) && isDigit(tok[len(tok)-1]) && json.Valid(tok)
		require.Equal(t, isNumber, jsonscan.IsNumber(tok), "%q", tok)
		if !isNumber {
			return
		}

		digits, exponent := measure(tok)
		if digits <= 800 && exponent <= 5 {
			want, err := strconv.ParseFloat(string(tok), 64)
			require.Equal(t, err == nil, floatOK, "%s", tok)
			require.Equal(t, math.Float64bits(want), math.Float64bits(float), "%s: %v and %v", tok, want, float)
		}
		if exponent <= 4 {
			r, ok := new(big.Rat).SetString(string(tok))
			require.True(t, ok)
			require.Equal(t, r.IsInt() && r.Num().IsInt64(), intOK, "%s", tok)
			if intOK {
				require.Equal(t, r.Num().Int64(), integer, "%s", tok)
			}
		}
	})
}

// measure counts the digits of a number before and behind the e: strconv is no
// oracle for the longest ones, and math/big takes its time.
func measure(tok []byte) (mantissa, exponent int) {
	before, after, _ := bytes.Cut(bytes.ToLower(tok), []byte("e"))
	return len(before), len(bytes.TrimLeft(after, "+-"))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// FuzzUnescape holds the decoding of strings to encoding/json.
func FuzzUnescape(f *testing.F) {
	for _, seed := range []string{
		``, `NVDA`, `\"\\\/\b\f\n\r\t`, `\u0041\u00e9\u20AC`, `\ud83d\ude00`, `\ud83d`, `\ude00`, `\ud83d\u0041`, `\ud83d\ud83d\ude00`,
		`\\u0041`, `é😀`, `\`, `\u`, `\u12`, `\ud83d\`, `\ud83d\u1`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := jsonscan.Unescape([]byte("before"), raw)
		require.True(t, bytes.HasPrefix(got, []byte("before")))
		require.LessOrEqual(t, len(got), len(raw)+len("before"))

		quoted := append(append([]byte{'"'}, raw...), '"')
		end, err := jsonscan.Value(quoted, 0, 0)
		if err != nil || end != len(quoted) || !utf8.Valid(raw) {
			return
		}
		var want string
		require.NoError(t, json.Unmarshal(quoted, &want))
		require.Equal(t, "before"+want, string(got), "%q", raw)
	})
}

// FuzzLooseEnd holds the search for the end of a broken element to the
// validator: where an element is sound, both find the same end.
func FuzzLooseEnd(f *testing.F) {
	for _, seed := range []string{
		`{"ev":"Q","i":[604],"bp":225.62},{"ev":"T"}]`, `"a,b]\",c",1]`, `[1,[2,{"a":"]"}]] ,3]`, `12]`, `12 ]`, `{"a":01},2]`, `}},1]`, `[1,2},3]`,
		`"open,1]`, "\"raw \x01,\",1]", `nul,1]`, `,`, `]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		begin := jsonscan.SkipSpace(text, 0)
		loose, ok := jsonscan.LooseEnd(text, begin)
		require.GreaterOrEqual(t, loose, begin)
		if ok {
			require.Contains(t, ",]", string(text[loose]))

			// Nothing before the end decides otherwise, and nothing behind it matters.
			again, ok := jsonscan.LooseEnd(text[:loose+1], begin)
			require.True(t, ok)
			require.Equal(t, loose, again)
			_, ok = jsonscan.LooseEnd(text[:loose], begin)
			require.False(t, ok)
		} else {
			require.Equal(t, len(text), loose)
		}

		end, err := jsonscan.Value(text, begin, jsonscan.MaxDepth)
		switch {
		case err == nil:
			if next := jsonscan.SkipSpace(text, end); next < len(text) && (text[next] == ',' || text[next] == ']') {
				require.True(t, ok)
				require.Equal(t, next, loose)
			}
		case ok && err != jsonscan.ErrTruncated:
			// A broken element is given up before its end: resynchronising never reads
			// the message more than twice.
			require.LessOrEqual(t, end, loose)
		}
	})
}
