package sqldb

import "strings"

// Like is the pattern with which a column in lower case holds a text, for LIKE with
// ESCAPE '!'.
func Like(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(strings.TrimSpace(text))) + "%"
}
