package cli

import "github.com/spf13/cobra"

func newExplain(Env) *cobra.Command {
	return &cobra.Command{Use: "explain [TEXT…]", Short: "Say what a Microsoft 365 sign-in error means and what helps"}
}
