from playwright.sync_api import expect

from tests.browser.accounts import sign_up, stored

KEPT = """async (path) => {
  while (!navigator.serviceWorker.controller) await new Promise(requestAnimationFrame);
  for (;;) {
    const found = await caches.match(path);
    if (found) return found.text();
    await new Promise(requestAnimationFrame);
  }
}"""


def test_a_read_lesson_is_readable_without_a_network_and_says_so(site, new_page):
    page = new_page(service_workers="allow")
    page.expected.append("Failed to load resource")
    path = f"/lessons/{site.slugs[0]}/"
    page.goto(site.url + path)
    page.evaluate(KEPT, path)
    page.context.route("**/*", lambda route: route.abort())
    page.context.set_offline(True)
    page.goto(site.url + path)
    expect(page.get_by_text("You are reading a copy")).to_be_visible()
    expect(page.get_by_role("heading", name="The premise")).to_be_visible()
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.locator("[data-finish-line]")).to_contain_text("Finished on")


def test_without_a_network_a_page_that_is_not_kept_says_so_and_lists_the_lessons_that_are(
    site, new_page
):
    page = new_page(service_workers="allow")
    page.expected.append("Failed to load resource")
    read, unread = (f"/lessons/{slug}/" for slug in site.slugs[:2])
    page.goto(site.url + read)
    title = page.get_by_role("heading", level=1).inner_text()
    page.evaluate(KEPT, read)
    page.context.set_offline(True)
    page.goto(site.url + unread)
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    page.get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", name="The premise")).to_be_visible()
    page.goto(site.url + "/lab/")
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The lab")


def test_a_stored_copy_is_nobodys(site, new_page):
    page = new_page(service_workers="allow")
    name = sign_up(site, page)
    path = f"/lessons/{site.slugs[0]}/"
    page.goto(site.url + path)
    stored = page.evaluate(KEPT, path)
    assert name not in stored
    assert "data-owner" not in stored
    expect(page.locator("[data-account]")).to_have_text(name)


def test_an_update_removes_what_the_older_release_kept(site, new_page):
    page = new_page(service_workers="allow")
    page.goto(site.url)
    page.evaluate("async () => { await caches.open('openbook-older'); }")
    page.evaluate(
        """async () => {
          const ready = await navigator.serviceWorker.ready;
          await ready.unregister();
          await navigator.serviceWorker.register("/service-worker.js");
          while ((await caches.keys()).includes("openbook-older")) {
            await new Promise((done) => setTimeout(done, 50));
          }
        }"""
    )
    assert len(page.evaluate("caches.keys()")) == 1


def test_quiz_answers_given_offline_are_graded_once_when_the_server_is_back(site, page):
    page.expected.append("Failed to load resource")
    page.expected.append("htmx:")
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/quiz/")
    page.route("**/quiz/", lambda route: route.abort())
    for question in page.locator("#quiz fieldset").all():
        question.get_by_role("radio").first.check()
    page.get_by_role("button", name="Check my answers").click()
    expect(page.get_by_role("alert")).to_contain_text("graded when it is back")
    page.unroute("**/quiz/")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
    page.reload()
    expect(page.get_by_role("button", name="Check my answers")).to_be_visible()
    assert [it["type"] for it in stored(page)] == ["quiz.scored"]
