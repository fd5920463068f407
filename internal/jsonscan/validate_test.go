package jsonscan_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

// accepted and rejected cover the ground of the y_ and n_ files of
// JSONTestSuite, whose names they follow.
var accepted = []struct{ name, text string }{
	{"array_arraysWithSpaces", "[[]   ]"},
	{"array_empty_string", `[""]`},
	{"array_empty", "[]"},
	{"array_ending_with_newline", "[\"a\"]\n"},
	{"array_false", "[false]"},
	{"array_heterogeneous", `[null, 1, "1", {}]`},
	{"array_null", "[null]"},
	{"array_with_newline", "[1\n]"},
	{"array_with_leading_space", " [1]"},
	{"array_with_several_null", "[1,null,null,null,2]"},
	{"array_with_trailing_space", "[2] "},
	{"array_all_spaces", " \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n"},
	{"number", "[123e65]"},
	{"number_0e+1", "[0e+1]"},
	{"number_0e1", "[0e1]"},
	{"number_after_space", "[ 4]"},
	{"number_double_close_to_zero", "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]"},
	{"number_int_with_exp", "[20e1]"},
	{"number_minus_zero", "[-0]"},
	{"number_negative_int", "[-123]"},
	{"number_negative_one", "[-1]"},
	{"number_real_capital_e", "[1E22]"},
	{"number_real_capital_e_neg_exp", "[1E-2]"},
	{"number_real_capital_e_pos_exp", "[1E+2]"},
	{"number_real_exponent", "[123.456e78]"},
	{"number_real_fraction_exponent", "[123.456e78]"},
	{"number_real_neg_exp", "[1e-2]"},
	{"number_real_pos_exponent", "[1e+2]"},
	{"number_simple_int", "[123]"},
	{"number_simple_real", "[123.456789]"},
	{"number_huge_exp", "[0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999969999999006]"},
	{"number_too_big_int", "[100000000000000000000]"},
	{"number_zero_fraction", "[0.0]"},
	{"number_exponent_of_zeros", "[1e0000]"},
	{"object", `{"asd":"sdf", "dfg":"fgh"}`},
	{"object_basic", `{"asd":"sdf"}`},
	{"object_duplicated_key", `{"a":"b","a":"c"}`},
	{"object_empty", "{}"},
	{"object_empty_key", `{"":0}`},
	{"object_escaped_null_in_key", `{"foo\u0000bar": 42}`},
	{"object_extreme_numbers", `{ "min": -1.0e+28, "max": 1.0e+28 }`},
	{"object_long_strings", `{"x":[{"id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`},
	{"object_simple", `{"a":[]}`},
	{"object_string_unicode", `{"title":"\u041f\u043e\u043b\u0442\u043e\u0440\u0430 \u0417\u0435\u043c\u043b\u0435\u043a\u043e\u043f\u0430" }`},
	{"object_with_newlines", "{\n\"a\": \"b\"\n}"},
	{"object_space_everywhere", "{ \"a\" : 1 , \"bc\" : 2 , \"def\" : 3 , \"ghij\" : 4 , \"klmnopqrst\" : 5 }"},
	{"object_space_and_exclamation_in_key", `{" ":1,"!":2,"a ":3,"a!":4,"ab ":5,"ab!":6,"abc!":7}`},
	{"object_escaped_short_keys", `{"\n":1,"\"":2,"a\"":3,"\\":4,"a\\":5,"ab\\":6}`},
	{"object_nested_kinds", `{"a":[{"b":[[{}],{"c":[1,{}]}]},[]],"d":{"e":{"f":{}}}}`},
	{"string_1_2_3_bytes_UTF-8_sequences", `["\u0060\u012a\u12AB"]`},
	{"string_accepted_surrogate_pair", `["\uD801\udc37"]`},
	{"string_all_escapes", `["\"\\\/\b\f\n\r\t"]`},
	{"string_backslash_and_u_escaped_zero", `["\\u0000"]`},
	{"string_backslash_doublequotes", `["\""]`},
	{"string_comments", `["a/*b*/c/*d//e"]`},
	{"string_double_escape_a", `["\\a"]`},
	{"string_lone_surrogates", `["\ud800","\udc00","\ud800x","\ud800\ud800"]`},
	{"string_in_array_with_leading_space", `[ "asd"]`},
	{"string_noncharacter", "[\"\uffff\U0010ffff\"]"},
	{"string_null_escape", `["\u0000"]`},
	{"string_three-byte-utf-8", "[\"\u0821\"]"},
	{"string_u+2028_line_sep", "[\"\u2028\u2029\"]"},
	{"string_unescaped_char_delete", "[\"\x7f\"]"},
	{"string_invalid_utf-8", "[\"\xff\xed\xa0\x80\xc0\x80\"]"},
	{"string_with_del_character", "[\"a\x7fa\"]"},
	{"string_lengths_around_a_word", `["1234567","12345678","123456789","1234567890abcdef","1234567890abcdefg"]`},
	{"structure_lonely_false", "false"},
	{"structure_lonely_int", "42"},
	{"structure_lonely_long_int", "12345678901234567890"},
	{"structure_lonely_real", "42.5"},
	{"structure_lonely_negative_real", "-0.1"},
	{"structure_lonely_null", "null"},
	{"structure_lonely_string", `"asd"`},
	{"structure_lonely_true", "true"},
	{"structure_string_empty", `""`},
	{"structure_whitespace_array", " [] "},
	{"feed_quote", oneQuote},
	{"feed_small_price", `[{"ev":"T","p":0.0001,"s":1E+06,"ds":"0.5"},{"p":1234567.1,"q":123456789.5,"t":1234567890123456789,"u":12345678}]`},
}

var rejected = []struct {
	name, text string
	err        error // what Value says, nil where it is the text behind the value that is wrong
}{
	{"array_1_true_without_comma", "[1 true]", jsonscan.ErrSyntax},
	{"array_a_invalid_utf8", "[a\xe5]", jsonscan.ErrSyntax},
	{"array_colon_instead_of_comma", `["": 1]`, jsonscan.ErrSyntax},
	{"array_comma_after_close", `[""],`, nil},
	{"array_comma_and_number", "[,1]", jsonscan.ErrSyntax},
	{"array_double_comma", "[1,,2]", jsonscan.ErrSyntax},
	{"array_double_extra_comma", `["x",,]`, jsonscan.ErrSyntax},
	{"array_extra_close", `["x"]]`, nil},
	{"array_extra_comma", `["",]`, jsonscan.ErrSyntax},
	{"array_extra_comma_and_space", "[1, ]", jsonscan.ErrSyntax},
	{"array_incomplete", `["x"`, jsonscan.ErrTruncated},
	{"array_incomplete_invalid_value", "[x", jsonscan.ErrSyntax},
	{"array_inner_array_no_comma", "[3[4]]", jsonscan.ErrSyntax},
	{"array_items_separated_by_semicolon", "[1:2]", jsonscan.ErrSyntax},
	{"array_just_comma", "[,]", jsonscan.ErrSyntax},
	{"array_just_minus", "[-]", jsonscan.ErrSyntax},
	{"array_missing_value", "[   , \"\"]", jsonscan.ErrSyntax},
	{"array_newlines_unclosed", "[\"a\",\n4\n,1,", jsonscan.ErrTruncated},
	{"array_number_and_comma", "[1,]", jsonscan.ErrSyntax},
	{"array_spaces_vertical_tab_formfeed", "[\"\x0ba\"\\f]", jsonscan.ErrSyntax},
	{"array_vertical_tab", "[\x0b1]", jsonscan.ErrSyntax},
	{"array_star_inside", "[*]", jsonscan.ErrSyntax},
	{"array_unclosed", `[""`, jsonscan.ErrTruncated},
	{"array_unclosed_trailing_comma", "[1,", jsonscan.ErrTruncated},
	{"array_unclosed_with_object_inside", "[{}", jsonscan.ErrTruncated},
	{"array_closed_by_brace", "[1}", jsonscan.ErrSyntax},
	{"incomplete_false", "[fals]", jsonscan.ErrSyntax},
	{"incomplete_null", "[nul]", jsonscan.ErrSyntax},
	{"incomplete_true", "[tru]", jsonscan.ErrSyntax},
	{"lonely_incomplete_true", "tru", jsonscan.ErrTruncated},
	{"multidigit_number_then_00", "123\x00", nil},
	{"number_++", "[++1234]", jsonscan.ErrSyntax},
	{"number_+1", "[+1]", jsonscan.ErrSyntax},
	{"number_+Inf", "[+Inf]", jsonscan.ErrSyntax},
	{"number_--1", "[--1]", jsonscan.ErrSyntax},
	{"number_-01", "[-01]", jsonscan.ErrSyntax},
	{"number_-1.0.", "[-1.0.]", jsonscan.ErrSyntax},
	{"number_-2.", "[-2.]", jsonscan.ErrSyntax},
	{"number_-NaN", "[-NaN]", jsonscan.ErrSyntax},
	{"number_.-1", "[.-1]", jsonscan.ErrSyntax},
	{"number_.2e-3", "[.2e-3]", jsonscan.ErrSyntax},
	{"number_.5", "[.5]", jsonscan.ErrSyntax},
	{"number_-.5", "[-.5]", jsonscan.ErrSyntax},
	{"number_0.1.2", "[0.1.2]", jsonscan.ErrSyntax},
	{"number_0.3e+", "[0.3e+]", jsonscan.ErrSyntax},
	{"number_0.3e", "[0.3e]", jsonscan.ErrSyntax},
	{"number_0.e1", "[0.e1]", jsonscan.ErrSyntax},
	{"number_0E", "[0E]", jsonscan.ErrSyntax},
	{"number_0E+", "[0E+]", jsonscan.ErrSyntax},
	{"number_1.", "[1.]", jsonscan.ErrSyntax},
	{"number_1._padded", "[1.                    ]", jsonscan.ErrSyntax},
	{"number_1.-2_padded", "[1.-2                    ]", jsonscan.ErrSyntax},
	{"number_1.2.3_padded", "[1.2.3                    ]", jsonscan.ErrSyntax},
	{"number_1.0e", "[1.0e]", jsonscan.ErrSyntax},
	{"number_1.0e+", "[1.0e+]", jsonscan.ErrSyntax},
	{"number_1.0e-", "[1.0e-]", jsonscan.ErrSyntax},
	{"number_1_000", "[1 000.0]", jsonscan.ErrSyntax},
	{"number_1e", "[1e]", jsonscan.ErrSyntax},
	{"number_1e_padded", "[1e                    ]", jsonscan.ErrSyntax},
	{"number_1e+", "[1e+]", jsonscan.ErrSyntax},
	{"number_1eE2", "[1eE2]", jsonscan.ErrSyntax},
	{"number_2.e+3", "[2.e+3]", jsonscan.ErrSyntax},
	{"number_2.e3_padded", "[2.e3                    ]", jsonscan.ErrSyntax},
	{"number_01", "[01]", jsonscan.ErrSyntax},
	{"number_00", "[00]", jsonscan.ErrSyntax},
	{"number_012_lonely", "012", nil},
	{"number_-_lonely", "-", jsonscan.ErrTruncated},
	{"number_1._lonely", "1.", jsonscan.ErrTruncated},
	{"number_1e_lonely", "1e", jsonscan.ErrTruncated},
	{"number_1e+_lonely", "1e+", jsonscan.ErrTruncated},
	{"number_9.e+", "[9.e+]", jsonscan.ErrSyntax},
	{"number_Inf", "[Inf]", jsonscan.ErrSyntax},
	{"number_NaN", "[NaN]", jsonscan.ErrSyntax},
	{"number_U+FF11_fullwidth_digit_one", "[\uff11]", jsonscan.ErrSyntax},
	{"number_expression", "[1+2]", jsonscan.ErrSyntax},
	{"number_hex_1_digit", "[0x1]", jsonscan.ErrSyntax},
	{"number_hex_2_digits", "[0x42]", jsonscan.ErrSyntax},
	{"number_infinity", "[Infinity]", jsonscan.ErrSyntax},
	{"number_minus_infinity", "[-Infinity]", jsonscan.ErrSyntax},
	{"number_invalid+-", "[0e+-1]", jsonscan.ErrSyntax},
	{"number_invalid-negative-real", "[-123.123foo]", jsonscan.ErrSyntax},
	{"number_invalid-utf-8-in-exponent", "[1e1\xe5]", jsonscan.ErrSyntax},
	{"number_minus_space_1", "[- 1]", jsonscan.ErrSyntax},
	{"number_minus_sign_with_trailing_garbage", "[-foo]", jsonscan.ErrSyntax},
	{"number_underscore", "[1_000]", jsonscan.ErrSyntax},
	{"number_with_alpha", "[1.2a-3]", jsonscan.ErrSyntax},
	{"number_with_alpha_char", "[1.8011670033376514H-308]", jsonscan.ErrSyntax},
	{"number_with_null_byte", "[1\x00]", jsonscan.ErrSyntax},
	{"object_bad_value", `["x", truth]`, jsonscan.ErrSyntax},
	{"object_bracket_key", `{[: "x"}`, jsonscan.ErrSyntax},
	{"object_closed_by_bracket", `{"a":1]`, jsonscan.ErrSyntax},
	{"object_comma_instead_of_colon", `{"x", null}`, jsonscan.ErrSyntax},
	{"object_double_colon", `{"x"::"b"}`, jsonscan.ErrSyntax},
	{"object_emoji", "{\U0001f1e8\U0001f1ed}", jsonscan.ErrSyntax},
	{"object_garbage_at_end", `{"a":"a" 123}`, jsonscan.ErrSyntax},
	{"object_key_with_single_quotes", "{key: 'value'}", jsonscan.ErrSyntax},
	{"object_lone_key", `{"a"}`, jsonscan.ErrSyntax},
	{"object_lone_key_padded", `{"a"                 }`, jsonscan.ErrSyntax},
	{"object_missing_colon", `{"a" b}`, jsonscan.ErrSyntax},
	{"object_missing_key", `{:"b"}`, jsonscan.ErrSyntax},
	{"object_missing_semicolon", `{"a" "b"}`, jsonscan.ErrSyntax},
	{"object_missing_value", `{"a":`, jsonscan.ErrTruncated},
	{"object_missing_value_closed", `{"a":}`, jsonscan.ErrSyntax},
	{"object_no-colon", `{"a"`, jsonscan.ErrTruncated},
	{"object_no-name", "{", jsonscan.ErrTruncated},
	{"object_non_string_key", "{1:1}", jsonscan.ErrSyntax},
	{"object_non_string_key_but_huge_number", "{9999E9999:1}", jsonscan.ErrSyntax},
	{"object_repeated_null_null", "{null:null,null:null}", jsonscan.ErrSyntax},
	{"object_several_trailing_commas", `{"id":0,,,,,}`, jsonscan.ErrSyntax},
	{"object_single_quote", "{'a':0}", jsonscan.ErrSyntax},
	{"object_trailing_comma", `{"id":0,}`, jsonscan.ErrSyntax},
	{"object_trailing_comment", `{"a":"b"}/**/`, nil},
	{"object_two_commas_in_a_row", `{"a":"b",,"c":"d"}`, jsonscan.ErrSyntax},
	{"object_unquoted_key", `{a: "b"}`, jsonscan.ErrSyntax},
	{"object_unterminated-value", `{"a":"a`, jsonscan.ErrTruncated},
	{"object_with_single_string", `{ "foo" : "bar", "a" }`, jsonscan.ErrSyntax},
	{"object_with_trailing_garbage", `{"a":"b"}#`, nil},
	{"object_control_in_short_key", "{\"a\x1f\":1,\"b\":2,\"c\":3}", jsonscan.ErrSyntax},
	{"object_control_as_first_of_key", "{\"\n\":1,\"b\":2,\"c\":3}", jsonscan.ErrSyntax},
	{"object_bad_escape_in_short_key", `{"\q":1,"b":2,"c":3}`, jsonscan.ErrSyntax},
	{"single_space", " ", jsonscan.ErrTruncated},
	{"string_1_surrogate_then_escape", `["\uD800\"]`, jsonscan.ErrTruncated},
	{"string_1_surrogate_then_escape_u", `["\uD800\u"]`, jsonscan.ErrSyntax},
	{"string_1_surrogate_then_escape_u1", `["\uD800\u1"]`, jsonscan.ErrSyntax},
	{"string_1_surrogate_then_escape_u1x", `["\uD800\u1x"]`, jsonscan.ErrSyntax},
	{"string_accentuated_char_no_quotes", "[\u00e9]", jsonscan.ErrSyntax},
	{"string_backslash_00", "[\"\\\x00\"]", jsonscan.ErrSyntax},
	{"string_escape_x", `["\x00"]`, jsonscan.ErrSyntax},
	{"string_escaped_backslash_bad", `["\\\"]`, jsonscan.ErrTruncated},
	{"string_escaped_ctrl_char_tab", "[\"\\\t\"]", jsonscan.ErrSyntax},
	{"string_escaped_emoji", "[\"\\\U0001f300\"]", jsonscan.ErrSyntax},
	{"string_escape_capital_u", `["\U0041"]`, jsonscan.ErrSyntax},
	{"string_escape_single_quote", `["\'"]`, jsonscan.ErrSyntax},
	{"string_incomplete_escape", `["\"]`, jsonscan.ErrTruncated},
	{"string_incomplete_escaped_character", `["\u00A"]`, jsonscan.ErrSyntax},
	{"string_invalid_backslash_esc", `["\a"]`, jsonscan.ErrSyntax},
	{"string_invalid_unicode_escape", `["\uqqqq"]`, jsonscan.ErrSyntax},
	{"string_hex_neighbours", `["\u00g0"]`, jsonscan.ErrSyntax},
	{"string_hex_at", `["\u00@0"]`, jsonscan.ErrSyntax},
	{"string_hex_colon", `["\u00:0"]`, jsonscan.ErrSyntax},
	{"string_leading_uescaped_thinspace", `[\u0020"asd"]`, jsonscan.ErrSyntax},
	{"string_no_quotes_with_bad_escape", `[\n]`, jsonscan.ErrSyntax},
	{"string_single_doublequote", `"`, jsonscan.ErrTruncated},
	{"string_single_quote", "['single quote']", jsonscan.ErrSyntax},
	{"string_single_string_no_double_quotes", "abc", jsonscan.ErrSyntax},
	{"string_start_escape_unclosed", `["\`, jsonscan.ErrTruncated},
	{"string_unescaped_ctrl_char", "[\"a\x00a\"]", jsonscan.ErrSyntax},
	{"string_unescaped_newline", "[\"new\nline\"]", jsonscan.ErrSyntax},
	{"string_unescaped_tab", "[\"\t\"]", jsonscan.ErrSyntax},
	{"string_unescaped_1f_late", "[\"01234567890123\x1f\"]", jsonscan.ErrSyntax},
	{"string_unicode_CapitalU", `"\UA66D"`, jsonscan.ErrSyntax},
	{"string_with_trailing_garbage", `""x`, nil},
	{"structure_U+2060_word_joined", "[\u2060]", jsonscan.ErrSyntax},
	{"structure_UTF8_BOM_no_data", "\xef\xbb\xbf", jsonscan.ErrSyntax},
	{"structure_UTF8_BOM_array", "\xef\xbb\xbf[]", jsonscan.ErrSyntax},
	{"structure_angle_bracket_.", "<.>", jsonscan.ErrSyntax},
	{"structure_angle_bracket_null", "[<null>]", jsonscan.ErrSyntax},
	{"structure_array_trailing_garbage", "[1]x", nil},
	{"structure_array_with_extra_array_close", "[1]]", nil},
	{"structure_array_with_unclosed_string", `["asd]`, jsonscan.ErrTruncated},
	{"structure_ascii-unicode-identifier", "a\u00e5", jsonscan.ErrSyntax},
	{"structure_capitalized_True", "[True]", jsonscan.ErrSyntax},
	{"structure_close_unopened_array", "1]", nil},
	{"structure_lone_close", "]", jsonscan.ErrSyntax},
	{"structure_comma_instead_of_closing_brace", `{"x": true,`, jsonscan.ErrTruncated},
	{"structure_double_array", "[][]", nil},
	{"structure_end_array", "]", jsonscan.ErrSyntax},
	{"structure_form_feed", "[\x0c]", jsonscan.ErrSyntax},
	{"structure_lone-invalid-utf-8", "\xe5", jsonscan.ErrSyntax},
	{"structure_lone-open-bracket", "[", jsonscan.ErrTruncated},
	{"structure_no_data", "", jsonscan.ErrTruncated},
	{"structure_no_break_space", "[\u00a0]", jsonscan.ErrSyntax},
	{"structure_null-byte-outside-string", "[\x00]", jsonscan.ErrSyntax},
	{"structure_number_with_trailing_garbage", "2@", nil},
	{"structure_object_followed_by_closing_object", "{}}", nil},
	{"structure_object_unclosed_no_value", `{"":`, jsonscan.ErrTruncated},
	{"structure_object_with_comment", `{"a":/*comment*/"b"}`, jsonscan.ErrSyntax},
	{"structure_object_with_trailing_garbage", `{"a": true} "x"`, nil},
	{"structure_open_array_apostrophe", "['", jsonscan.ErrSyntax},
	{"structure_open_array_comma", "[,", jsonscan.ErrSyntax},
	{"structure_open_array_open_object", "[{", jsonscan.ErrTruncated},
	{"structure_open_object_close_array", "{]", jsonscan.ErrSyntax},
	{"structure_open_object_comma", "{,", jsonscan.ErrSyntax},
	{"structure_open_object_open_string", `{"a`, jsonscan.ErrTruncated},
	{"structure_open_open", `["\{["\{["\{["\{`, jsonscan.ErrSyntax},
	{"structure_single_star", "*", jsonscan.ErrSyntax},
	{"structure_trailing_#", `{"a":"b"}#{}`, nil},
	{"structure_two_values", "1 2", nil},
	{"structure_unclosed_array_partial_null", "[ false, nul", jsonscan.ErrTruncated},
	{"structure_unclosed_object", `{"asd":"asd"`, jsonscan.ErrTruncated},
	{"structure_uescaped_LF_before_string", `[\u000A""]`, jsonscan.ErrSyntax},
	{"structure_whitespace_U+2060", "[\u2060]", jsonscan.ErrSyntax},
	{"structure_whitespace_formfeed", "[\x0c]", jsonscan.ErrSyntax},
}

func TestValidAccepts(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(tt.text)
			require.True(t, json.Valid(text), "the table itself is wrong")
			require.True(t, jsonscan.Valid(text))

			begin := jsonscan.SkipSpace(text, 0)
			want := len(strings.TrimRight(tt.text, " \t\r\n"))
			end, err := jsonscan.Value(text, begin, jsonscan.MaxDepth)
			require.NoError(t, err)
			require.Equal(t, want, end)

			// The same value in the middle of a message ends at the same place.
			for _, tail := range []string{",", "]", " ", ",\"a\":1", strings.Repeat(" ", 20)} {
				end, err := jsonscan.Value([]byte("##"+tt.text[:want]+tail), begin+2, jsonscan.MaxDepth)
				require.NoError(t, err)
				require.Equal(t, want+2, end)
			}
		})
	}
}

func TestValidRejects(t *testing.T) {
	for _, tt := range rejected {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(tt.text)
			require.False(t, json.Valid(text), "the table itself is wrong")
			require.False(t, jsonscan.Valid(text))

			end, err := jsonscan.Value(text, jsonscan.SkipSpace(text, 0), jsonscan.MaxDepth)
			require.Equal(t, tt.err, err)
			require.LessOrEqual(t, end, len(text))

			// Enough text behind it that every fast form is tried.
			padded := []byte(tt.text + strings.Repeat(" ", 32))
			require.False(t, jsonscan.Valid(padded))
			require.Equal(t, json.Valid(padded), jsonscan.Valid(padded))
		})
	}
}

func TestValueSaysWhereItStopped(t *testing.T) {
	tests := []struct {
		name, text string
		end        int
	}{
		{"letter", `[1,2,x]`, 5},
		{"control in a string", "[\"0123456789\n\"]", 12},
		{"bad hex digit", `["\u00x0"]`, 6},
		{"point without digits", `[1.]`, 3},
		{"literal", `[nulL]`, 4},
		{"wrong bracket", `[{"a":1]`, 7},
		{"truncated", `[{"a":1,`, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end, err := jsonscan.Value([]byte(tt.text), 0, jsonscan.MaxDepth)
			require.Error(t, err)
			require.Equal(t, tt.end, end)
		})
	}
}

// Every beginning of a valid text is truncated, never wrong; the only ones that
// are complete are those of a number.
func TestValuePrefixesAreTruncated(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(strings.Trim(tt.text, " \t\r\n"))
			for n := range text {
				end, err := jsonscan.Value(text[:n], 0, jsonscan.MaxDepth)
				require.Equal(t, n, end)
				if err != nil || !jsonscan.IsNumber(text[:n]) {
					require.Equal(t, jsonscan.ErrTruncated, err, "%q", text[:n])
				}
			}
		})
	}
}

// Single bytes changed, dropped and doubled in valid text keep to the borders
// of the grammar, where random text never comes.
func TestValidMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	rounds := 1_000_000
	if testing.Short() || raceEnabled {
		rounds = 50_000
	}
	const bytesOfInterest = "\"\\[]{},:0123456789.eE+-truefalsn \t\n\r\x00\x1f\x7f\x80\xffu/"
	var text []byte
	for range rounds {
		text = append(text[:0], accepted[rnd.IntN(len(accepted))].text...)
		for range 1 + rnd.IntN(3) {
			if len(text) == 0 {
				break
			}
			at := rnd.IntN(len(text))
			switch rnd.IntN(3) {
			case 0:
				text[at] = bytesOfInterest[rnd.IntN(len(bytesOfInterest))]
			case 1:
				text = append(text[:at], text[at+1:]...)
			default:
				text = append(text[:at+1], text[at:]...)
			}
		}
		if want := json.Valid(text); want != jsonscan.Valid(text) {
			require.Equal(t, want, !want, "%q", text)
		}
	}
}

func TestValueDepth(t *testing.T) {
	nested := func(open, inner, closing string, depth int) string {
		return strings.Repeat(open, depth) + inner + strings.Repeat(closing, depth)
	}
	tests := []struct {
		name, text string
		maxDepth   int
		err        error
	}{
		{"scalar at 0", "1", 0, nil},
		{"string at 0", `"[[["`, 0, nil},
		{"scalar below 0", "1", -1, nil},
		{"array at 0", "[]", 0, jsonscan.ErrDepth},
		{"object at 0", "{}", 0, jsonscan.ErrDepth},
		{"array at 1", "[]", 1, nil},
		{"object at 1", `{"a":1}`, 1, nil},
		{"siblings at 1", "[1,2,3]", 1, nil},
		{"array in array at 1", "[[]]", 1, jsonscan.ErrDepth},
		{"object in array at 1", "[1,{}]", 1, jsonscan.ErrDepth},
		{"siblings at 2", "[[],[],{},[]]", 2, nil},
		{"64 at 64", nested("[", "", "]", 64), 64, nil},
		{"65 at 64", nested("[", "", "]", 65), 64, jsonscan.ErrDepth},
		{"256 arrays", nested("[", "", "]", 256), 256, nil},
		{"257 arrays", nested("[", "", "]", 257), 256, jsonscan.ErrDepth},
		{"256 objects", nested(`{"a":`, "1", "}", 256), 256, nil},
		{"257 objects", nested(`{"a":`, "{}", "}", 256), 256, jsonscan.ErrDepth},
		{"256 mixed", nested(`[{"a":`, "1", "}]", 128), 256, nil},
		{"256 mixed, other order", nested(`{"a":[1,`, "1", "]}", 128), 256, nil},
		{"256 mixed in threes", nested(`[[{"a":`, "[]", "}]]", 85), 256, nil},
		{"more than MaxDepth is MaxDepth", nested("[", "", "]", 257), 10_000, jsonscan.ErrDepth},
		{"truncated before the limit", nested("[", "", "", 256), 256, jsonscan.ErrTruncated},
		{"closed by the wrong bracket", nested(`[{"a":`, "1", "]}", 128), 256, jsonscan.ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jsonscan.Value([]byte(tt.text), 0, tt.maxDepth)
			require.Equal(t, tt.err, err)
		})
	}

	// Whatever the order in which arrays and objects nest, each is closed by its own.
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		opening, closing := "", ""
		for range 1 + rnd.IntN(jsonscan.MaxDepth) {
			if rnd.IntN(2) == 0 {
				opening, closing = opening+"[", "]"+closing
			} else {
				opening, closing = opening+`{"k":`, "}"+closing
			}
		}
		require.True(t, jsonscan.Valid([]byte(opening+"0"+closing)))
		at := rnd.IntN(len(closing))
		wrong := closing[:at] + string(closing[at]^('['^'{')) + closing[at+1:]
		_, err := jsonscan.Value([]byte(opening+"0"+wrong), 0, jsonscan.MaxDepth)
		require.Equal(t, jsonscan.ErrSyntax, err)
	}
}

// Work that grows faster than the input would not end within the test's time.
func TestHostileInput(t *testing.T) {
	size := 4 << 20
	if testing.Short() || raceEnabled {
		size = 1 << 19
	}
	tests := []struct {
		name, unit string
		err        error
	}{
		{"arrays", "[", jsonscan.ErrDepth},
		{"objects", `{"a":`, jsonscan.ErrDepth},
		{"both", `[{"a":`, jsonscan.ErrDepth},
		{"quotes", `"`, nil},
		{"escapes", `\`, jsonscan.ErrSyntax},
		{"digits", "7", nil},
		{"minus", "-", jsonscan.ErrSyntax},
		{"spaces", " ", jsonscan.ErrSyntax},
		{"commas", ",", jsonscan.ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(strings.Repeat(tt.unit, size/len(tt.unit)))
			_, err := jsonscan.Value(text, 0, jsonscan.MaxDepth)
			require.Equal(t, tt.err, err)
			require.False(t, jsonscan.Valid(text) && tt.err != nil)
			jsonscan.LooseEnd(text, 0)
			jsonscan.IsNumber(text)
			jsonscan.Float(text)
			jsonscan.Int(text)
			jsonscan.Unescape(nil, text)
		})
	}
	long := []struct {
		name, begin, unit, end string
	}{
		{"empty arrays", "[[]", ",[]", "]"},
		{"long string", `"`, `abc\n`, `"`},
		{"long number", "1", "0", ".5"},
		{"long fraction", "0.", "0", "1e-5"},
		{"long exponent", "1e", "9", "1"},
		{"spaces", "[", " \t\r\n", "]"},
		{"members", `{"a":1`, `,"a":[{}]`, "}"},
	}
	for _, tt := range long {
		t.Run(tt.name, func(t *testing.T) {
			text := []byte(tt.begin + strings.Repeat(tt.unit, size/len(tt.unit)) + tt.end)
			end, err := jsonscan.Value(text, 0, jsonscan.MaxDepth)
			require.NoError(t, err)
			require.Equal(t, len(text), end)
			if jsonscan.IsNumber(text) {
				jsonscan.Float(text)
				jsonscan.Int(text)
			}
		})
	}
}

func TestErrorsAreDistinct(t *testing.T) {
	all := []error{jsonscan.ErrSyntax, jsonscan.ErrDepth, jsonscan.ErrTruncated}
	for i, a := range all {
		for k, b := range all {
			require.Equal(t, i == k, errors.Is(a, b))
		}
	}
}
