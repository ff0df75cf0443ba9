// Package microsoft says where a Microsoft cloud is reached ([Cloud]) and what
// its services answer when they refuse ([Error]). The clients themselves are
// the packages below: login, graph, and later sharepoint, businesscentral and
// mfapush. Real clouds and the lab differ in their Cloud and in nothing else.
package microsoft
