// Package interop holds tests only: clients that others wrote, unmodified,
// sign in to the simulated cloud of package lab and read from it, and public
// tools take the server's REST API at its word. It is a module of its own, so
// that none of those becomes a need of the product. README.md says what is
// shown where.
package interop
