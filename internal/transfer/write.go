package transfer

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gatehouse/internal/connection"
)

// name of the JSON files.
const formatName = "gatehouse-connections/1"

// guard keeps a spreadsheet from taking a text for a formula: one that begins with
// a sign of one gets an apostrophe before it, and one that begins with an
// apostrophe another one, so that [unguard] finds back.
func guard(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r'", rune(text[0])) {
		return "'" + text
	}
	return text
}

// unguard takes away what [guard] added.
func unguard(text string) string {
	if len(text) > 1 && text[0] == '\'' && strings.ContainsRune("=+-@\t\r'", rune(text[1])) {
		return text[1:]
	}
	return text
}

// Export writes the connections that a filter lets through, of those that the actor
// may see. Secrets are not among them.
func (s *Service) Export(ctx context.Context, f connection.Filter, format Format, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	write := s.exportCSV
	if format == JSON {
		write = s.exportJSON
	}
	if err := write(ctx, f, out); err != nil {
		return fmt.Errorf("exporting connections: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("exporting connections: %w", err)
	}
	return nil
}

func (s *Service) exportCSV(ctx context.Context, f connection.Filter, w io.Writer) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // spreadsheets take it for UTF-8 only then
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.name
	}
	if err := out.Write(cells); err != nil {
		return err
	}
	err := s.Connections.Each(ctx, f, func(c connection.Connection) error {
		for i, col := range columns {
			cells[i] = guard(col.get(c))
		}
		return out.Write(cells)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func (s *Service) exportJSON(ctx context.Context, f connection.Filter, w io.Writer) error {
	if _, err := fmt.Fprintf(w, "{\"format\":%q,\"connections\":[", formatName); err != nil {
		return err
	}
	first := true
	err := s.Connections.Each(ctx, f, func(c connection.Connection) error {
		one := map[string]any{}
		for _, col := range columns {
			value := col.get(c)
			switch {
			case col.list:
				one[col.name] = strings.Fields(value)
			case col.name == "mfa", col.name == "parked":
				one[col.name] = value == "yes"
			default:
				one[col.name] = value
			}
		}
		data, err := json.Marshal(one)
		if err != nil {
			return err
		}
		lead := ",\n"
		if first {
			lead, first = "\n", false
		}
		_, err = w.Write(append([]byte(lead), data...))
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}
