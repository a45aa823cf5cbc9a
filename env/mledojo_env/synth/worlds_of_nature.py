"""Worlds of nature, health, work and play; see `worlds`."""

from __future__ import annotations

from mledojo_env.synth.worlds import World, world

WORLDS: tuple[World, ...] = (
    world(
        "patient",
        "patients",
        "An outpatient clinic follows patients after a small operation.",
        many="ward code",
        group="physician",
        when="admitted on",
        numbers="""
            age | even 18 90 1 | years
            body mass index | normal 26.5 4.2 2 | kg per square metre
            resting pulse | normal 72 10 1 | beats a minute
            systolic pressure | normal 131 16 1 | mmHg
            glucose | skewed 5.6 0.22 2 | mmol/l
            operation time | skewed 47 0.5 1 | minutes
            haemoglobin | normal 13.8 1.5 2 | g/dl
            medicines | count 2.8 0.8 0 | taken regularly
            crp | skewed 4 0.9 2 | C-reactive protein, mg/l
        """,
        categories="""
            anaesthesia | local, general, spinal | kind of anaesthesia
            smoker | never, former, current | as told
            side | left, right, both | operated on
            insurance | public, private, none | of the patient
            team | A, B, C, D | that operated
        """,
        questions="""
            yes_no | readmitted | | whether the patient came back within 30 days
            yes_no | infection | | whether the wound was inflamed
            classes | discharge | home, rehab, ward, transfer | where the patient went
            grades | pain | 1,2,3,4,5 | on the third day, 5 is worst
            amounts | stay | lognormal 3.2 0.5 1 days | in the clinic
            amounts | recovery score | normal 62 14 1 points | after six weeks, 100 is best
        """,
    ),
    world(
        "field",
        "fields",
        "An agricultural station compares plots of wheat.",
        many="variety",
        group="farm",
        when="sown on",
        numbers="""
            rain | skewed 310 0.3 0 | from sowing to harvest, mm
            soil ph | normal 6.5 0.6 2 | acidity of the soil
            nitrogen | normal 148 34 1 | kg per hectare
            clay | even 6 52 1 | share of the soil, percent
            slope | skewed 2.6 0.7 2 | percent
            altitude | skewed 210 0.6 0 | m
            plant density | normal 285 42 0 | per square metre
            frost days | count 17 0.5 0 | in winter
            sunshine | normal 1480 150 0 | hours
        """,
        categories="""
            crop before | maize, clover, rape, wheat, beet | on the same field
            tillage | plough, strip, none | how the soil was worked
            aspect | north, east, south, west, flat | where the slope faces
            treatment | none, once, twice | against fungi
        """,
        questions="""
            yes_no | lodged | | whether the stand fell over before harvest
            yes_no | irrigation advised | | whether the station advised to irrigate
            classes | main disease | none, rust, mildew, blotch | found in June
            grades | quality class | 1,2,3,4 | of the grain, 4 is best
            amounts | harvest | normal 72 13 1 decitonnes per hectare | of grain
            amounts | weeds | poisson 9 0.7 0 | plants counted in a frame
        """,
    ),
    world(
        "wine",
        "wines",
        "A cooperative of growers analyses its wines before they are bottled.",
        many="vineyard",
        group="grower",
        when="pressed on",
        numbers="""
            alcohol | normal 12.3 1.0 2 | percent
            residual sugar | skewed 4.6 0.7 2 | g/l
            acidity | normal 6.1 0.8 2 | g/l
            tannin | skewed 1.6 0.5 3 | g/l
            sulphite | skewed 84 0.4 1 | free and bound, mg/l
            yield | normal 64 14 1 | hectolitres per hectare
            cask months | skewed 9 0.6 1 | before bottling
            must weight | normal 88 9 1 | degrees Oechsle
            potassium | skewed 880 0.25 0 | mg/l
        """,
        categories="""
            grape | Riesling, Pinot, Silvaner, Merlot | variety
            cask | oak, steel, concrete, clay | where it ripened
            closure | cork, screw, glass | of the bottle
            soil | slate, loess, lime, sand | of the vineyard
        """,
        questions="""
            yes_no | medal | | whether it won a medal
            yes_no | fault found | | whether the panel found a fault
            classes | style | dry, fruity, heavy, sweet | as the panel puts it
            grades | panel grade | 1,2,3,4,5 | of the panel, 5 is best
            amounts | price | lognormal 9 0.4 2 EUR | a bottle
            amounts | shelf life | lognormal 5.5 0.5 1 years | as estimated by the cellar
        """,
    ),
    world(
        "hive",
        "hives",
        "Beekeepers of a valley put their notes on hives together.",
        many="queen line",
        group="beekeeper",
        when="checked on",
        numbers="""
            hive weight | normal 31 6 2 | kg
            brood area | skewed 24 0.4 1 | square decimetres
            mite count | skewed 18 0.9 0 | fallen in a week
            queen age | skewed 1.6 0.5 2 | years
            brood temperature | normal 34.4 0.7 2 | degrees Celsius
            flight minutes | skewed 300 0.4 0 | on the day before
            pollen share | even 3 60 1 | of returning bees, percent
            water distance | skewed 180 0.7 0 | m
            frames | count 13 0.35 0 | with bees on them
        """,
        categories="""
            forage | forest, rape, orchard, meadow, heather | main forage nearby
            box | Dadant, Zander, Langstroth | kind of hive
            stand | sunny, shaded, mixed | where it stands
            feeding | syrup, fondant, none | in autumn
        """,
        questions="""
            yes_no | survived winter | | whether the colony lived in spring
            yes_no | swarmed | | whether it swarmed
            classes | honey type | blossom, forest, heather, mixed | of the harvest
            grades | temper | 1,2,3,4 | 1 is gentle
            amounts | honey | lognormal 21 0.5 2 kg | taken in the year
            amounts | stings | poisson 4 0.8 0 | in ten minutes at the hive
        """,
    ),
    world(
        "tree",
        "trees",
        "A city gardens department surveys the trees along its streets.",
        many="street",
        group="inspector",
        when="surveyed on",
        numbers="""
            trunk girth | skewed 98 0.45 1 | at breast height, cm
            crown width | skewed 6.2 0.4 2 | m
            planting pit | skewed 5.5 0.6 2 | open ground, square metres
            traffic | skewed 4.8 0.8 2 | thousand vehicles a day
            soil moisture | normal 21 6 1 | percent
            years since planting | skewed 34 0.6 1 | as in the register
            leaning | skewed 3 0.7 2 | degrees
            salt index | skewed 1.3 0.6 3 | of the soil
            building distance | skewed 7 0.5 2 | to the next wall, m
        """,
        categories="""
            species | lime, maple, plane, oak, birch, cherry | of the tree
            surface | grass, gravel, paving | around the trunk
            sun | full, half, little | at noon
            pruned | never, light, hard | in the last five years
        """,
        questions="""
            yes_no | felled | | whether it was felled within three years
            yes_no | needs water | | whether it was put on the watering list
            classes | damage | none, bark, roots, crown, fungus | main damage found
            grades | vitality | 1,2,3,4,5 | 1 is dead, 5 is thriving
            amounts | height | lognormal 10.5 0.35 2 m | measured
            amounts | growth | normal 22 8 1 cm | of the longest shoot
        """,
    ),
    world(
        "machine run",
        "machine runs",
        "A plant that presses plastic parts logs each run of its machines.",
        many="mould",
        group="machine",
        when="started at",
        numbers="""
            melt temperature | normal 231 9 2 | degrees Celsius
            injection pressure | normal 840 95 1 | bar
            cycle time | skewed 24 0.25 3 | seconds
            cooling time | skewed 11 0.3 3 | seconds
            humidity | normal 44 11 1 | of the hall, percent
            screw speed | normal 118 16 1 | turns a minute
            regrind | even 0 40 1 | share of recycled material, percent
            vibration | skewed 1.9 0.5 3 | mm/s
            hours since service | skewed 190 0.8 1 | of operation
        """,
        categories="""
            material | PP, ABS, PA6, PC, PE | what is pressed
            shift | early, late, night | when it ran
            operator level | trainee, skilled, master | who set it up
            cooling | water, oil, air | of the mould
        """,
        questions="""
            yes_no | scrap | | whether the first parts had to be thrown away
            yes_no | stopped | | whether the run was interrupted
            classes | defect | none, sink, flash, burn, short | main defect of the first parts
            grades | surface grade | 1,2,3,4 | of the parts, 4 is best
            amounts | part weight | normal 36 2.5 3 g | mean of ten parts
            amounts | rejects | poisson 5 0.9 0 | among the first hundred parts
        """,
    ),
    world(
        "player",
        "players",
        "A football association of amateurs looks at the season of its players.",
        many="club",
        group="coach",
        when="registered on",
        numbers="""
            minutes played | skewed 1100 0.6 0 | in the season
            sprint speed | normal 28.4 2.1 2 | km/h, best of three
            passes | skewed 29 0.4 1 | a match
            pass quality | normal 76 8 1 | percent that arrive
            distance run | normal 9.1 1.2 2 | km a match
            training days | count 58 0.35 0 | attended
            body height | normal 179 7 1 | cm
            shots | skewed 1.2 0.7 2 | a match
            tackles | skewed 2.1 0.5 2 | a match
        """,
        categories="""
            position | goal, defence, midfield, attack | played most
            foot | left, right, both | preferred
            league | A, B, C, D | of the club
            pitch | grass, artificial, clay | at home
        """,
        questions="""
            yes_no | injured | | whether the player was injured in the next season
            yes_no | changed club | | whether the player left the club
            classes | next role | bench, regular, captain, coach | in the next season
            grades | form | 1,2,3,4,5,6 | mark given by the association, 6 is best
            amounts | goals | poisson 4 0.9 0 | in the next season
            amounts | market value | lognormal 2600 0.7 0 EUR | as estimated by a portal
        """,
    ),
    world(
        "lesson",
        "lessons",
        "A language school evaluates its single lessons.",
        many="textbook unit",
        group="teacher",
        when="held on",
        numbers="""
            lesson length | normal 58 14 1 | minutes
            words learned | skewed 17 0.5 0 | by the end
            speaking share | even 10 80 1 | of the learner, percent
            homework minutes | skewed 26 0.8 1 | before the lesson
            learner age | even 14 75 1 | years
            months learning | skewed 11 0.9 1 | in all
            break days | skewed 6 0.6 1 | since the lesson before
            screen brightness | normal 61 17 1 | percent
            quiz errors | count 4 0.7 0 | at the beginning
        """,
        categories="""
            language | Spanish, French, Czech, Turkish, Swedish | taught
            format | online, classroom, phone | of the lesson
            level | beginner, middle, advanced | of the course
            time of day | morning, noon, evening | of the lesson
        """,
        questions="""
            yes_no | booked again | | whether another lesson was booked within a week
            yes_no | passed test | | whether the test at the end was passed
            classes | next step | repeat, go on, skip, leave | advised by the teacher
            grades | mark | 1,2,3,4,5,6 | of the test, 6 is best
            amounts | test points | normal 58 16 1 points | of 100, at the end of the course
            amounts | questions asked | poisson 7 0.6 0 | by the learner
        """,
    ),
    world(
        "panel",
        "solar panels",
        "An association of owners collects readings of solar panels on roofs.",
        many="inverter",
        group="owner",
        when="read on",
        numbers="""
            roof pitch | normal 33 9 1 | degrees
            module area | skewed 38 0.4 2 | square metres
            years in use | skewed 6 0.6 2 | since installation
            irradiation | normal 3.7 0.9 3 | kWh per square metre, on the day
            module temperature | normal 34 10 1 | degrees Celsius, at noon
            shade | even 0 45 1 | of the roof at noon, percent
            dust | skewed 0.9 0.7 3 | index
            cable length | skewed 18 0.5 1 | m
            nominal power | skewed 6.8 0.35 3 | kW
        """,
        categories="""
            cell type | mono, poly, thin film | of the modules
            facing | south, south west, west, east | of the roof
            cleaning | rain, yearly, monthly | how it is cleaned
            mount | in roof, on roof, ground | how it is mounted
        """,
        questions="""
            yes_no | fault | | whether the inverter reported a fault
            yes_no | below promise | | whether the yield stayed below what was promised
            classes | fault type | none, string, inverter, shading | found by the technician
            grades | state | 1,2,3,4 | of the modules, 4 is best
            amounts | yield | normal 21 6 2 kWh | on the day
            amounts | saving | lognormal 3.3 0.5 3 EUR | on the day
        """,
    ),
    world(
        "catch",
        "catches",
        "Wardens of a lake write down what anglers catch.",
        many="bay",
        group="angler",
        when="caught on",
        numbers="""
            water temperature | normal 15.5 4 2 | degrees Celsius, at the surface
            depth | skewed 4.8 0.6 2 | of the bait, m
            air pressure | normal 1014 8 1 | hPa
            wind | skewed 2.7 0.6 2 | m/s
            line strength | skewed 0.23 0.3 3 | mm
            hours fished | skewed 3.1 0.5 2 | until the catch
            turbidity | skewed 2.4 0.6 2 | NTU
            bait size | skewed 42 0.5 1 | mm
            oxygen | normal 9.2 1.3 2 | mg/l
        """,
        categories="""
            bait | worm, spinner, fly, bread, fish | on the hook
            sky | clear, cloudy, rain | at the time
            ground | sand, rock, weed, mud | of the lake
            boat | none, rowing, motor | used
        """,
        questions="""
            yes_no | released | | whether the fish was put back
            yes_no | tagged before | | whether it had been caught before
            classes | species | perch, pike, roach, trout, carp | of the fish
            grades | age class | 1,2,3,4,5 | from its scales
            amounts | fish length | lognormal 31 0.3 1 cm | from nose to tail
            amounts | bites | poisson 6 0.7 0 | before the catch
        """,
    ),
    world(
        "station",
        "measuring days",
        "A network of stations measures the air of a region, a row a day.",
        many="site",
        group="operator",
        when="measured on",
        numbers="""
            wind speed | skewed 2.6 0.5 2 | m/s
            mixing height | skewed 640 0.5 0 | of the lower air, m
            temperature | normal 9.5 7.5 1 | degrees Celsius
            vehicles | skewed 11 0.6 2 | thousands on the next road
            nitrogen oxide | skewed 24 0.5 1 | the day before, micrograms per cubic metre
            ozone | normal 56 17 1 | the day before, micrograms per cubic metre
            relative humidity | normal 73 12 1 | percent
            rain | skewed 1.4 0.9 2 | mm
            chimneys | count 38 0.6 0 | within a kilometre
        """,
        categories="""
            surroundings | road, houses, industry, forest | of the station
            wind from | N, NE, E, SE, S, SW, W, NW | main direction
            day type | working day, Saturday, Sunday | kind of day
            instrument | optical, filter, laser | that measured
        """,
        questions="""
            yes_no | limit exceeded | | whether the limit was exceeded
            yes_no | reading invalid | | whether the reading was thrown out later
            classes | main source | traffic, heating, industry, dust | by chemical analysis
            grades | air index | 1,2,3,4,5 | 5 is worst
            amounts | fine dust | lognormal 19 0.5 1 micrograms per cubic metre | mean of the day
            amounts | complaints | poisson 3 0.8 0 | by residents
        """,
    ),
    world(
        "app",
        "apps",
        "A magazine for developers follows small apps in their first year.",
        many="library",
        group="studio",
        when="released on",
        numbers="""
            download size | skewed 38 0.7 2 | MB
            start time | skewed 1.4 0.4 3 | seconds
            price | skewed 2.1 0.6 2 | EUR, of the full version
            updates | count 6 0.6 0 | in the first half year
            crash rate | skewed 0.6 0.8 3 | per thousand sessions
            session length | skewed 5.5 0.6 2 | minutes
            languages | count 4 0.8 0 | offered
            advert share | even 0 30 1 | of the screen, percent
            team size | count 3.2 0.6 0 | persons
        """,
        categories="""
            store section | games, tools, health, learning, music | where it is listed
            platform | phone, tablet, watch, all | it runs on
            money | free, adverts, subscription, paid | how it earns
            sign in | none, mail, social | what it asks for
        """,
        questions="""
            yes_no | withdrawn | | whether it left the store within the year
            yes_no | featured | | whether the store put it forward
            classes | growth | falling, flat, steady, viral | of the number of users
            grades | stars | 1,2,3,4,5 | given by most users
            amounts | installs | lognormal 5200 0.9 0 installs | in the first year
            amounts | reviews a day | poisson 4 0.8 0 | mean day of the second month
        """,
    ),
)
