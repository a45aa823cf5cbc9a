"""Worlds of trade, money and services; see `worlds`."""

from __future__ import annotations

from mledojo_env.synth.worlds import World, world

WORLDS: tuple[World, ...] = (
    world(
        "loan",
        "loans",
        "A savings bank goes through the consumer loans it has granted.",
        many="branch",
        group="borrower",
        when="granted on",
        numbers="""
            monthly income | skewed 2600 0.45 0 | gross monthly income of the borrower, EUR
            loan amount | skewed 9000 0.6 0 | what was paid out, EUR
            interest rate | normal 6.4 1.6 2 | yearly, percent
            age | even 19 78 1 | age of the borrower, years
            years at address | skewed 5 0.8 1 | since the last move
            open credits | count 2.6 0.6 0 | other credits running at the time
            balance | normal 1400 900 0 | mean balance of the current account, EUR
            monthly instalment | skewed 240 0.5 2 | EUR
            months in job | skewed 44 0.9 0 | with the present employer
        """,
        categories="""
            purpose | car, kitchen, travel, studies, repairs, other | what the money was for
            housing | rents, owns, with family | how the borrower lives
            contract | permanent, fixed term, self employed, retired | kind of employment
            channel | counter, phone, web | where the loan was applied for
        """,
        questions="""
            yes_no | paid late | | whether an instalment came more than 30 days late
            yes_no | repaid early | | whether the loan was paid back before its end
            classes | outcome | on time, late, deferred, written off | how the loan ended
            grades | risk grade | 1,2,3,4,5 | risk as judged afterwards, 1 (low) to 5 (high)
            amounts | loss | lognormal 420 0.9 2 EUR | what the loan cost the bank in the end
            amounts | days to close | lognormal 700 0.5 0 days | from payment to the last instalment
        """,
    ),
    world(
        "subscriber",
        "subscribers",
        "A telephone company studies the contracts of its subscribers.",
        many="tariff code",
        group="household",
        when="contract start",
        numbers="""
            monthly fee | skewed 27 0.4 2 | EUR
            minutes called | skewed 210 0.8 1 | in an average month
            data used | skewed 6.5 0.9 2 | in an average month, GB
            tenure | skewed 19 0.8 1 | months since the contract began
            dropped calls | count 3.5 0.7 0 | in the last quarter
            roaming minutes | skewed 14 1.1 1 | in the last year
            signal | normal -87 9 1 | mean signal strength at home, dBm
            bill variation | skewed 0.18 0.6 3 | standard deviation of the bill over its mean
            support calls | count 1.8 0.8 0 | in the last half year
        """,
        categories="""
            plan | basic, family, flat, business | type of the contract
            payment | card, transfer, debit, cash | how the bill is paid
            device | own, rented, none | telephone that came with the contract
            area | city, town, village | where the subscriber lives
            paperless | yes, no, unknown | whether bills are sent by e-mail
        """,
        questions="""
            yes_no | left | | whether the subscriber left within the next three months
            yes_no | upgraded | | whether a larger plan was taken within the next year
            classes | next plan | same, larger, smaller, left | what the subscriber did at renewal
            grades | satisfaction | 1,2,3,4,5 | answer to the yearly survey, 5 is best
            amounts | revenue | lognormal 340 0.5 2 EUR | in the year that follows
            amounts | complaints | poisson 2.5 0.8 0 | number in the year that follows
        """,
    ),
    world(
        "order",
        "orders",
        "A web shop for garden supplies keeps a record of its orders.",
        many="product line",
        group="customer",
        when="ordered at",
        numbers="""
            basket value | skewed 62 0.7 2 | EUR, without shipping
            items | count 3.4 0.6 0 | pieces in the basket
            weight | skewed 4.2 0.9 2 | kg, packed
            discount | even 0 35 1 | percent off the list price
            distance | skewed 160 0.8 1 | from the warehouse to the customer, km
            time on site | skewed 9.5 0.7 2 | minutes before the order
            pages seen | count 11 0.6 0 | before the order
            account age | skewed 300 1.0 0 | days since the first visit
            past orders | count 3.1 0.9 0 | of the same customer
        """,
        categories="""
            carrier | Falke, Nordpost, Rapid, own van | who delivers
            payment method | invoice, card, wallet, prepaid | how the order is paid
            season | spring, summer, autumn, winter | when it was ordered
            device type | phone, tablet, desktop | where it was ordered from
            gift | yes, no | whether it is wrapped as a gift
        """,
        questions="""
            yes_no | returned | | whether any piece was sent back
            yes_no | arrived late | | whether it came after the promised day
            classes | reason for contact | none, damage, delay, wrong item | why the customer wrote, if at all
            grades | rating | 1,2,3,4,5 | stars given by the customer
            amounts | delivery hours | lognormal 40 0.45 1 hours | from order to delivery
            amounts | margin | normal 14 9 2 EUR | what the shop earned
        """,
    ),
    world(
        "booking",
        "bookings",
        "A chain of hotels at the sea looks back on its bookings.",
        many="agency",
        group="guest",
        when="arrival",
        numbers="""
            lead time | skewed 38 0.9 1 | days from booking to arrival
            room rate | skewed 96 0.35 2 | EUR a night
            nights | count 4.2 0.5 0 | length of the stay
            deposit | even 0 60 1 | percent paid in advance
            changes | count 1.4 0.7 0 | times the booking was altered
            room size | normal 24 5 1 | square metres
            occupancy | normal 71 13 1 | of the hotel on the day of arrival, percent
            previous stays | count 1.7 0.9 0 | of the same guest
            walk to beach | skewed 7 0.7 1 | minutes
        """,
        categories="""
            board | none, breakfast, half, full | meals included
            market | direct, agency, portal, group | where the booking came from
            room type | single, double, suite, family | as booked
            country | DE, FR, NL, PL, SE, IT | of the guest
            view | sea, court, street | from the window
        """,
        questions="""
            yes_no | cancelled | | whether the booking was cancelled
            yes_no | came again | | whether the guest booked again within a year
            classes | complaint | none, noise, cleanliness, food, price | what the guest complained of
            grades | score given | 1,2,3,4,5 | in the questionnaire, 5 is best
            amounts | spent on extras | lognormal 70 0.8 2 EUR | bar, spa and parking, for the whole stay
            amounts | minibar items | poisson 3 0.7 0 | taken during the stay
        """,
    ),
    world(
        "claim",
        "claims",
        "An insurer of household goods reviews settled claims.",
        many="assessor",
        group="policyholder",
        when="reported on",
        numbers="""
            insured sum | skewed 42000 0.5 0 | EUR
            deductible | skewed 260 0.5 0 | EUR
            premium | skewed 190 0.4 2 | EUR a year
            report delay | skewed 4.5 0.9 1 | days from damage to report
            policy age | skewed 6.5 0.8 2 | years
            household size | count 2.9 0.45 0 | persons
            living area | normal 92 24 1 | square metres
            earlier claims | count 1.5 0.8 0 | in ten years
            photo count | count 4 0.7 0 | sent with the report
        """,
        categories="""
            cause | water, fire, theft, storm, glass | of the damage
            building | house, flat, farm | where it happened
            region | north, east, south, west | of the country
            report channel | letter, app, agent | how it was reported
            police report | yes, no | whether there is one
        """,
        questions="""
            yes_no | contested | | whether the claim was contested
            yes_no | needs visit | | whether an assessor had to come
            classes | settlement | full, partial, refused | how it was settled
            grades | urgency | 1,2,3,4 | as judged by the first reader, 4 is most urgent
            amounts | paid out | lognormal 1300 0.9 2 EUR | to the policyholder
            amounts | days open | lognormal 24 0.7 0 days | until it was settled
        """,
    ),
    world(
        "flat",
        "flats",
        "A housing office collects the advertisements of flats to let in one city.",
        many="neighbourhood",
        group="landlord",
        when="advertised on",
        numbers="""
            living space | skewed 66 0.35 1 | square metres
            floor | count 2.8 0.6 0 | 0 is the ground floor
            built | normal 1968 28 0 | year
            station distance | skewed 480 0.7 0 | walk to the next stop, m
            energy need | normal 128 38 1 | kWh per square metre and year
            noise level | normal 57 6 1 | outside, dB
            ceiling height | normal 2.6 0.22 2 | m
            balcony area | skewed 5 0.5 1 | square metres
            green share | even 2 70 1 | of the surroundings, percent
        """,
        categories="""
            heating | gas, district, oil, heat pump | kind of heating
            kitchen | fitted, empty, open | as let
            state | new, renovated, used, in need of work | of the flat
            pets | allowed, on request, not allowed | what the landlord says
            lift | yes, no | whether there is one
        """,
        questions="""
            yes_no | let within a week | | whether it was gone after seven days
            yes_no | rent reduced | | whether the rent was lowered before it was let
            classes | tenant type | family, couple, single, shared | who moved in
            grades | condition | 1,2,3,4,5 | as found by the office, 5 is best
            amounts | rent | lognormal 780 0.35 0 EUR | a month, without heating
            amounts | enquiries | poisson 14 0.7 0 | in the first three days
        """,
    ),
    world(
        "used car",
        "used cars",
        "A dealer keeps the books of the used cars that went through the yard.",
        many="model",
        group="seller",
        when="bought in",
        numbers="""
            mileage | skewed 84000 0.5 0 | km
            engine power | skewed 88 0.35 1 | kW
            vehicle age | skewed 6.5 0.5 2 | years
            consumption | normal 6.3 1.2 2 | litres per 100 km
            owners | count 1.9 0.5 0 | before
            list price | skewed 24000 0.4 0 | when new, EUR
            tyre depth | normal 5.1 1.3 1 | mm
            days in yard | skewed 33 0.7 1 | until it was sold
            paint thickness | skewed 130 0.3 1 | mean, micrometres
        """,
        categories="""
            fuel | petrol, diesel, hybrid, electric, gas | what it runs on
            gearbox | manual, automatic | kind of gearbox
            body | hatchback, estate, saloon, van, coupe | shape
            colour | black, white, grey, red, blue, green | as in the papers
            inspection | passed, failed, due | last inspection
        """,
        questions="""
            yes_no | came back | | whether the buyer returned it or complained within the warranty
            yes_no | sold abroad | | whether it left the country
            classes | buyer | private, dealer, company, export | who bought it
            grades | wear | 1,2,3,4,5 | as judged in the workshop, 5 is worst
            amounts | price | lognormal 9800 0.5 0 EUR | paid by the buyer
            amounts | repair cost | lognormal 560 0.7 2 EUR | before it could be sold
        """,
    ),
    world(
        "ticket",
        "tickets",
        "The help desk of a university keeps its tickets.",
        many="software",
        group="requester",
        when="opened at",
        numbers="""
            words in text | skewed 70 0.7 0 | length of the first message
            attachments size | skewed 0.8 1.1 3 | MB
            queue length | skewed 21 0.6 1 | open tickets at the time, mean over the hour
            replies | count 3.2 0.6 0 | until it was closed
            hour | even 6 22 2 | of the day it was opened
            machine age | skewed 3.4 0.6 2 | of the requester's computer, years
            staff on duty | count 5.5 0.4 0 | at the time
            previous tickets | count 4 0.9 0 | of the same person
            first response | skewed 35 0.9 1 | minutes
        """,
        categories="""
            topic | mail, network, printing, access, hardware, teaching | as chosen by the requester
            faculty | arts, law, science, medicine, central | of the requester
            role | student, staff, guest | of the requester
            entry | form, phone, mail, desk | how it came in
        """,
        questions="""
            yes_no | reopened | | whether it was opened again after it was closed
            yes_no | escalated | | whether a second line had to help
            classes | solved by | first line, second line, vendor, user | who solved it
            grades | priority | 1,2,3,4 | given by the desk, 4 is highest
            amounts | hours to solve | lognormal 18 0.9 2 hours | until it was closed
            amounts | messages | poisson 5 0.6 0 | exchanged in all
        """,
    ),
    world(
        "restaurant",
        "restaurants",
        "A guide to eating out compares restaurants of one region.",
        many="quarter",
        group="owner",
        when="visited on",
        numbers="""
            seats | skewed 46 0.5 0 | inside and outside
            main course price | skewed 17 0.35 2 | mean, EUR
            menu length | skewed 34 0.5 0 | dishes
            waiting time | skewed 16 0.5 1 | until the first course, minutes
            years open | skewed 8 0.8 1 | under the same name
            staff | count 7 0.5 0 | on an evening
            rent per seat | skewed 41 0.4 2 | EUR a month
            kitchen area | normal 38 10 1 | square metres
            web mentions | skewed 120 0.9 0 | found by a search
        """,
        categories="""
            cuisine | regional, Italian, Indian, Thai, vegan, grill | kind of food
            location | centre, suburb, village, lake | where it is
            service | table, counter, buffet | how guests are served
            reservation | needed, possible, none | how one gets a table
        """,
        questions="""
            yes_no | still open | | whether it was still open two years later
            yes_no | recommended | | whether the guide recommends it
            classes | price class | cheap, fair, dear, luxury | as the guide puts it
            grades | points | 1,2,3,4,5,6 | given by the testers
            amounts | guests a week | lognormal 310 0.5 0 guests | mean over a year
            amounts | no shows | poisson 4 0.7 0 | in the week of the visit
        """,
    ),
    world(
        "parcel",
        "parcels",
        "A parcel service measures what happens on the last mile.",
        many="depot",
        group="sender",
        when="scanned at",
        numbers="""
            parcel weight | skewed 2.9 0.8 3 | kg
            volume | skewed 11 0.7 2 | litres
            stops before | skewed 48 0.5 0 | on the tour
            tour length | skewed 74 0.4 1 | km
            driver experience | skewed 2.2 0.8 2 | years
            temperature | normal 11 8 1 | outside, degrees Celsius
            declared value | skewed 55 0.9 2 | EUR
            scan gap | skewed 95 0.7 1 | minutes between the last two scans
            attempts | count 1.5 0.5 0 | planned
        """,
        categories="""
            vehicle | van, bike, truck, electric van | of the tour
            address type | home, office, locker, shop | where it goes
            product | standard, express, same day | as paid for
            weekday | Mon, Tue, Wed, Thu, Fri, Sat | of the tour
            fragile | yes, no | marked so
        """,
        questions="""
            yes_no | missed | | whether nobody was there to take it
            yes_no | damaged | | whether damage was reported
            classes | handed to | recipient, neighbour, shop, returned | who took it
            grades | handling class | 1,2,3,4 | roughness measured by a logger, 4 is roughest
            amounts | minutes late | normal 12 25 1 minutes | after the announced time; negative is early
            amounts | cost | lognormal 3.4 0.4 3 EUR | of the delivery
        """,
    ),
    world(
        "campaign",
        "campaigns",
        "An agency sums up the advertising campaigns of its clients.",
        many="placement",
        group="client",
        when="started on",
        numbers="""
            budget | skewed 5200 0.8 0 | EUR
            runtime | skewed 18 0.5 1 | days
            impressions | skewed 150 0.9 1 | thousands
            frequency | skewed 3.4 0.4 2 | mean views a person
            headline length | normal 38 11 0 | characters
            audience size | skewed 420 0.8 1 | thousands
            bid | skewed 0.7 0.5 3 | EUR a click
            video share | even 0 100 1 | percent of the budget
            landing speed | skewed 1.9 0.4 2 | seconds until the page shows
        """,
        categories="""
            network | search, social, display, video | where it ran
            sector | travel, food, finance, sport, toys | of the client
            creative | photo, drawing, text, film | what was shown
            aim | sales, leads, awareness | what it was for
        """,
        questions="""
            yes_no | renewed | | whether the client booked again
            yes_no | over budget | | whether it cost more than planned
            classes | verdict | stopped, kept, scaled, changed | what was decided afterwards
            grades | quality | 1,2,3,4,5 | score by the network, 5 is best
            amounts | clicks | lognormal 2400 0.8 0 clicks | in all
            amounts | cost per lead | lognormal 19 0.6 2 EUR | budget over leads
        """,
    ),
    world(
        "event",
        "events",
        "A concert hall evaluates the evenings of past seasons.",
        many="ensemble",
        group="promoter",
        when="date",
        numbers="""
            ticket price | skewed 31 0.4 2 | mean, EUR
            advance sale | even 5 95 1 | percent of seats, four weeks before
            programme length | normal 104 18 1 | minutes
            fee | skewed 6800 0.7 0 | of the artists, EUR
            rehearsals | count 3.3 0.5 0 | in the hall
            posters | skewed 140 0.6 0 | hung in town
            outside temperature | normal 10 8 1 | degrees Celsius
            press articles | count 2.4 0.7 0 | before the evening
            newsletter clicks | skewed 260 0.6 0 | on the announcement
        """,
        categories="""
            genre | classical, jazz, folk, pop, spoken word | of the evening
            day | Thu, Fri, Sat, Sun | of the week
            hall | large, small, open air | where it was
            series | subscription, festival, single | it belonged to
        """,
        questions="""
            yes_no | sold out | | whether every seat was sold
            yes_no | encore | | whether there was more than one encore
            classes | audience | locals, tourists, students, mixed | most of the guests
            grades | review | 1,2,3,4,5 | stars in the local paper
            amounts | visitors | lognormal 380 0.45 0 visitors | that came
            amounts | bar revenue | lognormal 1500 0.5 2 EUR | of the evening
        """,
    ),
)
