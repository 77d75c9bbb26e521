// Runs before the page is drawn. First: the theme that this reader chose (preferences.ts), so that no other one flashes up.
// A file, and no text in the page: the security policy allows only what comes from the server itself. Classic, not a
// module: modules wait until the page was parsed, and by then it may have been painted.
try {
  const theme = JSON.parse(localStorage.getItem("fantail.theme"));
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
    document.querySelector('meta[name="color-scheme"]').setAttribute("content", theme);
  }
} catch {
  // This browser keeps nothing, or something of another version: the system's theme it is.
}

// On a job's page the script of that page is wanted too, and not only when the first one has come and asks for it.
{
  const jobPage = document.currentScript?.dataset.jobPage;
  if (jobPage && /^\/jobs\/./.test(location.pathname)) {
    const link = document.createElement("link");
    link.rel = "modulepreload";
    link.href = jobPage;
    document.head.append(link);
  }
}
